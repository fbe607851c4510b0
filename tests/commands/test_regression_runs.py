"""A network for super-resolution from its config to pictures."""

import numpy as np
import tiny
from PIL import Image

from sr_jax import __main__ as verbs
from sr_jax import image_io
from sr_jax.commands.train import train


def test_train_evaluate_and_reconstruct(tmp_path, capsys):
    run = tmp_path / 'run'
    result = train(tiny.regression(train__batch_size=8, evaluation__batch_size=8), run)
    assert result.step == 4
    assert {'mse', 'psnr_y_matlab_crop0', 'ssim_y_matlab_crop0'} <= set(result.metrics)
    (samples,) = (run / 'samples').iterdir()
    with Image.open(samples) as sheet:  # given | made of it | true
        assert sheet.width >= 3 * 16
        assert sheet.width < 4 * 16
    assert verbs.main(['evaluate', str(run), '--protocol', 'rgb_crop0']) == 0
    assert 'psnr_rgb_crop0' in capsys.readouterr().out
    image_io.save(tmp_path / 'odd.png', np.full((30, 41, 3), 0.5, np.float32))
    output = tmp_path / 'out'
    picture = str(tmp_path / 'odd.png')
    assert verbs.main(['reconstruct', str(run), picture, '--output', str(output)]) == 0
    with Image.open(output / 'odd.png') as sheet:
        assert sheet.height >= 30
        assert sheet.width >= 2 * 41
    again = train(tiny.regression(train__batch_size=8, train__steps=6), run)
    assert again.step == 6
