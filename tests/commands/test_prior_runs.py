"""A prior trained on the codes of a stage 1, images drawn from it, and what cannot be drawn."""

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import seeded
import tiny
from flax import linen as nn

from sr_jax import __main__ as verbs
from sr_jax.commands import extract_codes
from sr_jax.commands.shared import measures
from sr_jax.data.code_shards import (
    Description,
    read_description,
    write_description,
    write_shard,
)
from sr_jax.data.pipeline import train_iterator
from sr_jax.data.validation import validation_crops
from sr_jax.errors import InputError
from sr_jax.images import lock
from sr_jax.images.files import load_image, save_image
from sr_jax.inference import networks
from sr_jax.metrics import fid
from sr_jax.models import inception
from sr_jax.pretrained import inception as pretrained_inception
from sr_jax.pretrained.files import write_state
from sr_jax.tasks.shared.stage_1 import fingerprint
from sr_jax.training import loop
from sr_jax.training.settings import read_settings

pytestmark = pytest.mark.usefixtures('one_device')


@pytest.fixture(scope='module')
def prior(finished, tmp_path_factory):
    """The folder of a run of both levels, of as many steps as other tests compile."""
    workdir = tmp_path_factory.mktemp('prior') / 'run'
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.see_one_device(monkeypatch)
        loop.train(tiny.prior(stage_1__source=str(finished[0])), workdir)
    return workdir


def sample(run, output, *arguments):
    """Draws two at a time where nothing else is said."""
    words = ['sample', str(run), '--output', str(output), '--batch', '2', *arguments]
    return verbs.main(words)


def drawn(folder, count):
    return [(folder / f'{index:04d}.png').read_bytes() for index in range(count)]


def test_a_run_says_of_which_stage_1_it_is_and_measures_both_levels(prior, finished):
    config = json.loads((prior / 'config.json').read_text())
    assert config['stage_1']['network']['name'] == 'vqvae'
    assert config['stage_1']['fingerprint'] == fingerprint(networks.load(finished[0]))
    assert (config['model']['codes'], config['bottom']['condition_codes']) == (16, 16)
    assert (config['model']['height'], config['bottom']['width']) == (2, 4)
    lines = [json.loads(line) for line in (prior / 'metrics.jsonl').read_text().splitlines()]
    (last,) = [line for line in lines if line['event'] == 'validation' and line['step'] == 4]
    top, bottom = (last[f'bits_per_dimension_{level}'] for level in ('top', 'bottom'))
    assert last['bits_per_dimension'] == pytest.approx((top + 4 * bottom) / 5, rel=1e-5)
    assert 0 < top < 6


def test_samples_are_the_same_for_any_batch_and_go_on_where_they_stopped(prior, tmp_path, capsys):
    assert sample(prior, tmp_path / 'whole', '--count', '5', '--batch', '5') == 0
    assert sample(prior, tmp_path / 'parts', '--count', '5') == 0
    whole = drawn(tmp_path / 'whole', 5)
    assert whole == drawn(tmp_path / 'parts', 5)
    assert len(set(whole)) == 5
    for index in (1, 4):  # as if it had been killed
        (tmp_path / 'parts' / f'{index:04d}.png').unlink()
    capsys.readouterr()
    again = ('--count', '5', '--skip-existing', '--neighbors', '2')
    assert sample(prior, tmp_path / 'parts', *again) == 0
    assert whole == drawn(tmp_path / 'parts', 5)
    said = capsys.readouterr().out
    assert '5 samples, of which 2 were drawn now' in said
    assert 'the nearest of 8 of 8 training images; least mse' in said
    assert load_image(tmp_path / 'parts' / 'neighbors.png').shape[1] == 3 * (16 + 8) + 8
    assert sample(prior, tmp_path / 'other', '--count', '5', '--seed', '1') == 0
    assert whole != drawn(tmp_path / 'other', 5)


def test_an_image_is_drawn_anew_from_its_middle_down(prior, tmp_path):
    rng = np.random.default_rng(0)
    save_image(tmp_path / 'given.png', rng.random((24, 40, 3), np.float32))
    given = ('--from', str(tmp_path / 'given.png'), '--count', '2')
    assert sample(prior, tmp_path / 'lower', *given) == 0
    assert sample(prior, tmp_path / 'bottom', *given, '--redraw', 'bottom') == 0
    lower = [load_image(tmp_path / 'lower' / f'{i:04d}.png') for i in range(2)]
    assert not np.array_equal(lower[0][8:], lower[1][8:])
    # The decoder looks across the border, but not as far as the first rows.
    np.testing.assert_allclose(lower[0][:1], lower[1][:1], atol=0.02)
    assert drawn(tmp_path / 'bottom', 2) != drawn(tmp_path / 'lower', 2)


@pytest.mark.slow
def test_codes_are_extracted_once_and_trained_on(prior, finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(extract_codes, 'SHARD', 6)
    codes, command = tmp_path / 'codes', ['extract-codes', str(finished[0]), 'photos']
    command += ['--output', str(codes), '--batch', '4']
    assert verbs.main([*command, '--crops', '9']) == 0
    kept = {path.name: path.read_bytes() for path in codes.iterdir()}
    assert set(kept) == {
        *('codes.json', 'train-00000.array_record', 'train-00001.array_record'),
        'validation-00000.array_record',
    }
    assert read_description(codes).counts == {'train': 9, 'validation': 12}
    (codes / 'train-00000.array_record').unlink()
    (codes / 'train-00001.array_record').write_bytes(kept['train-00001.array_record'][:500])
    with lock.hold(codes / lock.NAME, codes, print):
        assert verbs.main([*command, '--crops', '9']) == 1
    assert f'another job writes {codes} ' in capsys.readouterr().err
    assert verbs.main([*command, '--crops', '9']) == 0
    for name in ('train-00000.array_record', 'train-00001.array_record'):
        assert (codes / name).read_bytes() == kept[name]
    assert verbs.main([*command, '--crops', '10']) == 1
    assert 'holds other codes than these' in capsys.readouterr().err

    config = tiny.prior(train__steps=1, stage_1__source=str(finished[0]))
    config.data.source = f'codes:{codes}'
    result = loop.train(config, tmp_path / 'run')
    measured = json.loads((prior / 'metrics.jsonl').read_text().splitlines()[-1])
    assert result.metrics.keys() <= measured.keys()
    (codes / 'train-00001.array_record').unlink()
    with pytest.raises(InputError, match="6 codes of the part 'train', not 9: train-00001"):
        train_iterator(read_settings(config).data, 4, 0)
    config.data.crop_size = 24
    with pytest.raises(InputError, match='of 16 pixels a side: take --config.data.crop_size=16'):
        train_iterator(read_settings(config).data, 4, 0)


@pytest.fixture(scope='module')
def other(tmp_path_factory):
    """A run of a stage 1 that has learned something else."""
    workdir = tmp_path_factory.mktemp('other') / 'run'
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.see_one_device(monkeypatch)
        loop.train(tiny.vqvae(train__steps=2, seed=1), workdir)
    return workdir


def test_another_stage_1_is_refused(prior, finished, other, tmp_path):
    config = tiny.prior(stage_1__source=str(other))
    with pytest.raises(InputError, match=r'config\.stage_1\.fingerprint: .* -> '):
        loop.train(config, prior)
    config.model.codes = 12
    with pytest.raises(InputError, match=r'config\.model\.codes=12, but the codebook of the'):
        loop.train(config, tmp_path / 'new')
    config.stage_1.source = str(prior)
    with pytest.raises(InputError, match=r"of the kind 'code_transformer', which makes no codes"):
        loop.train(config, tmp_path / 'new')
    codes = tmp_path / 'codes'
    command = ['extract-codes', str(other), 'photos', '--output', str(codes), '--crops', '4']
    assert verbs.main(command) == 0
    config = tiny.prior(train__steps=1, stage_1__source=str(finished[0]))
    config.data.source = f'codes:{codes}'
    with pytest.raises(InputError, match=r'the folder of codes .* is of a stage 1 with the finger'):
        loop.train(config, tmp_path / 'new')


@pytest.fixture(scope='module')
def apart(finished, tmp_path_factory):
    """The runs of the top and of the bottom level, each trained alone on codes of 3 classes."""
    folder, made_by = tmp_path_factory.mktemp('apart'), networks.load(finished[0])
    sizes, counts = {'top': 16, 'bottom': 16}, {'train': 9, 'validation': 4}
    description = Description(fingerprint(made_by), sizes, 16, True, 'drawn', 0, counts)
    rng = np.random.default_rng(0)
    for part, count in counts.items():
        examples = [
            {'top': rng.integers(16, size=(2, 2)), 'bottom': rng.integers(16, size=(4, 4))}
            | {'label': i % 3}
            for i in range(count)
        ]
        write_shard(folder / f'{part}-00000.array_record', examples)
    write_description(folder, description)
    config = tiny.prior(train__steps=2, stage_1__source=str(finished[0]), log__samples=0)
    config.data.source = f'codes:{folder}'
    config.model.classes = config.bottom.classes = 3
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.see_one_device(monkeypatch)
        for level in ('top', 'bottom'):
            config.loss.levels = level
            loop.train(config, folder / level)
    return [str(folder / level) for level in ('top', 'bottom')]


@pytest.mark.slow
def test_levels_trained_apart_draw_a_class_together(apart, tmp_path, capsys):
    def draw(name, *arguments):
        words = ['sample', *apart, '--output', str(tmp_path / name), '--count', '3', '--batch', '3']
        assert verbs.main([*words, *arguments]) == 0
        return drawn(tmp_path / name, 3)

    told = [draw(f'{n}', '--class', f'{n}', '--guidance', '300') for n in range(3)]
    assert told[0] != told[1] != told[2] != told[0]
    assert sample(apart[0], tmp_path / 'half') == 1
    assert 'has no prior of the bottom level: name a second run that' in capsys.readouterr().err
    assert verbs.main(['sample', *apart, '--output', str(tmp_path), '--class', '3']) == 1
    assert '--class 3: ' in (said := capsys.readouterr().err) and 'the classes 0 to 2' in said


@pytest.mark.slow
def test_a_class_of_the_data_that_the_networks_do_not_know_ends_the_run(apart, finished, tmp_path):
    config = tiny.prior(train__steps=2, stage_1__source=str(finished[0]), log__samples=0)
    config.data.source = f'codes:{Path(apart[0]).parent}'
    config.model.classes = config.bottom.classes = 2
    with pytest.raises(InputError, match=r'the data has the class 2, but config\.model\.classes=2'):
        loop.train(config, tmp_path / 'run')


class Means(nn.Module):
    """In the place of Inception: few of its features are not zero."""

    def __call__(self, x):
        return jnp.pad(x.mean(axis=(1, 2)), ((0, 0), (0, 2045)))


def test_fid_is_of_the_samples_to_the_validation_crops(prior, tmp_path, monkeypatch, capsys):
    module = fid.Fid(Means(), {}, 'bilinear')
    monkeypatch.setattr(measures, 'load_fid', lambda *given: module)
    assert sample(prior, tmp_path, '--count', '4', '--fid', 'weights.pth') == 0
    said = capsys.readouterr().out
    assert 'fid_bilinear: ' in said
    assert '4 samples to 12 true crops' in said
    assert 'FID over 4 images' in said


@pytest.mark.slow
def test_fid_takes_a_file_of_weights_by_the_names_of_pytorch_fid(prior, tmp_path, capsys):
    module = inception.Model()
    shapes = jax.eval_shape(module.init, jax.random.key(0), module.example(1))
    zeros = jax.tree.map(lambda s: np.broadcast_to(np.float32(0), s.shape), shapes)
    state = seeded.state({k: v.shape for k, v in pretrained_inception.to_torch(zeros).items()})
    weights = tmp_path / 'fid.safetensors'
    write_state(weights, state, {})
    assert sample(prior, tmp_path, '--count', '4', '--fid', str(weights)) == 0
    said = re.search('fid_bilinear: (.*), 4 samples to 12 true crops', capsys.readouterr().out)
    metric = fid.Fid(module, pretrained_inception.from_torch(state))
    settings = read_settings(tiny.prior(stage_1__source='')).data
    sets = {'true': list(validation_crops(settings))}
    sets['drawn'] = [load_image(tmp_path / f'{index:04d}.png') for index in range(4)]
    found = {}
    for name, images in sets.items():
        found[name] = fid.ImageSet(metric)
        for image in images:
            found[name].add(image)
    expected = fid.frechet_distance(*(found[name].statistics() for name in ('drawn', 'true')))
    assert float(said[1]) == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert expected > 1


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--class', '3'], '--class 3: .* knows no classes'),
        (['--guidance', '2'], 'say a --class'),
        (['--count', '0'], '--count 0: it must be at least 1'),
        (['--count', '99999999999'], '--count 99999999999: it must be at most 1000000'),
        (['--top-p', '0'], '--top-p 0: it must be above 0 and at most 1'),
        (['--fid', 'nothing.pth'], 'nothing.pth'),
    ],
)
def test_bad_input_is_a_line(prior, tmp_path, capsys, arguments, message):
    count = ['--count', '2'] if '--count' not in arguments else []
    assert sample(prior, tmp_path, *count, *arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ')
    assert re.search(message, line)


def test_other_runs_draw_nothing(prior, finished, tmp_path, capsys):
    assert sample(finished[0], tmp_path) == 1
    assert "of the task 'vqvae', which draws no images" in capsys.readouterr().err
    assert verbs.main(['sample', str(prior), str(prior), '--output', str(tmp_path)]) == 1
    assert 'both hold the top level' in capsys.readouterr().err
    assert verbs.main(['sample', *3 * [str(prior)], '--output', str(tmp_path)]) == 1
    assert '3 runs: there are but two levels' in capsys.readouterr().err
    assert sample(tmp_path / 'absent', tmp_path) == 1
    assert 'no such run' in capsys.readouterr().err
