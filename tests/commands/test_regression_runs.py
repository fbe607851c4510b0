"""A network for super-resolution from its config to images, and trained on pairs of them.

The commands of docs/super_resolution.md and docs/evaluate.md, which tests/test_documentation.py
runs, go the whole way: training, evaluation, enlarging, and a benchmark.
"""

import jax
import numpy as np
import pytest
import tiny
from PIL import Image

from sr_jax import __main__ as verbs
from sr_jax.checkpoints.run import load_run
from sr_jax.errors import InputError
from sr_jax.images.files import save_image
from sr_jax.training.loop import train


def test_a_run_says_what_to_try_and_reconstructs_images_of_any_size(tmp_path, capsys):
    run, output = tmp_path / 'run', tmp_path / 'out'
    config = tiny.regression(train__steps=1, train__batch_size=8)
    assert {'mse', 'psnr_y_matlab_crop0', 'ssim_y_matlab_crop0'} <= set(train(config, run).metrics)
    assert f'sr_jax upscale IMAGE --weights {run}' in capsys.readouterr().out
    (samples,) = (run / 'samples').iterdir()
    with Image.open(samples) as sheet:  # given | made of it | true
        assert 3 * 16 <= sheet.width < 4 * 16
    save_image(tmp_path / 'odd.png', np.full((30, 41, 3), 0.5, np.float32))
    arguments = ['reconstruct', str(run), str(tmp_path / 'odd.png'), '--output', str(output)]
    assert verbs.main(arguments) == 0
    with Image.open(output / 'odd.png') as sheet:
        assert (sheet.height >= 30, sheet.width >= 2 * 41) == (True, True)


@pytest.fixture
def pairs(tmp_path):
    """Six pairs of noise, the true images 4 times the side of the small ones."""
    for folder in ('hq', 'lq'):
        (tmp_path / folder).mkdir()
    for number in range(6):
        lq = np.random.default_rng(number).random((12, 8, 3)).astype(np.float32)
        save_image(tmp_path / 'lq' / f'{number}x4.png', lq)
        save_image(tmp_path / 'hq' / f'{number}.png', lq.repeat(4, 0).repeat(4, 1))
    return f'paired:{tmp_path / "hq"}:{tmp_path / "lq"}'


def paired(source, **changes):
    return tiny.regression(
        data__source=source,
        data__validation_fraction=0.3,
        train__effective_batch_size=8,
        optimizer__schedule='constant',
        **changes,
    )


def test_pairs_from_training_to_evaluation(tmp_path, capsys, pairs):
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    result = train(paired(pairs), whole)
    assert {'mse', 'psnr_y_matlab_crop0'} <= set(result.metrics)
    train(paired(pairs, train__steps=2), parts)
    train(paired(pairs), parts)
    leaves = [jax.tree.leaves(load_run(run).variables) for run in (whole, parts)]
    for one, other in zip(*leaves, strict=True):
        np.testing.assert_array_equal(one, other)
    capsys.readouterr()
    assert verbs.main(['evaluate', str(whole)]) == 0
    assert 'psnr_y_matlab_crop0' in capsys.readouterr().out
    assert verbs.main(['evaluate', str(whole), '--data', 'photos']) == 1
    assert "the task needs 'lq' of each example" in capsys.readouterr().err


def test_pairs_of_another_scale_are_refused(tmp_path, pairs):
    with pytest.raises(InputError, match=r'config\.model\.scale=2, but .* 4 times'):
        train(paired(pairs, model__scale=2), tmp_path / 'run')
