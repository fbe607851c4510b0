"""`sr-jax benchmark` of films in folders of frames."""

import json
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax import __main__ as verbs
from sr_jax.commands.shared import benchmark_clips, measures
from sr_jax.degradations import gaussian
from sr_jax.images.decoding import to_uint8
from sr_jax.images.files import load_image, save_image
from sr_jax.layers.resampling import upsample_from_corner
from sr_jax.metrics import temporal
from sr_jax.metrics.protocol import parse

pytestmark = pytest.mark.usefixtures('one_device')


class Memory(NamedTuple):
    """What a frame leaves."""

    image: Any


class Mixer:
    """In the place of a recurrent network: half of what was, and half of the frame, repeated."""

    def start(self, frame):
        return Memory(jnp.zeros((1, 2 * frame.shape[1], 2 * frame.shape[2], 3)))

    def apply(self, share, memory, frame, method):
        assert method == 'step'
        large = frame.repeat(2, 1).repeat(2, 2)
        return Memory(share * memory.image + (1 - share) * large), None


class Differences:
    """In the place of LPIPS."""

    def __init__(self, kind):
        self.name = f'lpips_{kind}'

    def __call__(self, image, reference):
        return float(np.abs(image - reference).mean())


@pytest.fixture
def films(tmp_path):
    """Two films of a texture that moves, [3, 34, 37, 3] each; the true frames by film."""
    random = np.random.default_rng(0)
    found = {}
    for name in ('a', 'more/b'):
        texture = random.random((12, 15, 3), np.float32).repeat(4, 0).repeat(4, 1)
        for i in range(3):
            path = tmp_path / 'hq' / name / f'{i:04}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            save_image(path, texture[i : 34 + i, 2 * i : 37 + 2 * i])
        paths = sorted((tmp_path / 'hq' / name).iterdir())
        found[name] = np.stack([load_image(path) for path in paths])
    return tmp_path / 'hq', found


def eight_bits(x):
    return to_uint8(np.asarray(x)).astype(np.float32) / 255


def benchmark(folder, *arguments):
    return verbs.main(['benchmark', f'frames:{folder}', *map(str, arguments)])


def test_films_go_through_frame_by_frame_and_are_measured_in_time(
    films, tmp_path, monkeypatch, capsys
):
    folder, true = films
    monkeypatch.setattr(measures.lpips, 'load', Differences)
    upscaler = SimpleNamespace(module=Mixer(), variables=0.5, scale=2, source='a mixer')
    monkeypatch.setattr(benchmark_clips, '_load_upscaler', lambda arguments: (upscaler, 2))
    monkeypatch.setattr(benchmark_clips, 'remembers', lambda upscaler: True)
    file = tmp_path / 'numbers.json'
    wanted = ('--degradation', 'gaussian', '--protocol', 'rgb_crop3', '--lpips', 'alex')
    assert benchmark(folder, '--weights', 'mixer', *wanted, '--json', file) == 0
    record = json.loads(file.read_text())
    assert (record['scale'], record['small_images'], record['failed']) == (2, 'gaussian', [])
    assert record['motion'] == temporal.PROTOCOL in capsys.readouterr().out
    for name, hq in true.items():
        hq = hq[:, :, :36]
        lq = eight_bits(gaussian.degrade(hq, 2, 1.5))
        mixed, large = [np.zeros_like(hq[0])], lq.repeat(2, 1).repeat(2, 2)
        for frame in large:
            mixed.append(0.5 * mixed[-1] + 0.5 * frame)
        made = {
            'result': eight_bits(np.stack(mixed[1:])),
            'bicubic': eight_bits(np.clip(upsample_from_corner(lq, 2, 'cubic'), 0, 1)),
        }
        protocol = parse('rgb_crop3')
        for kind, images in made.items():
            row = record['clips'][name][kind]
            psnr = np.mean([protocol.psnr(x, y) for x, y in zip(images, hq, strict=True)])
            assert row['psnr_rgb_crop3'] == pytest.approx(psnr, abs=0.05)
            assert row['lpips_alex'] == pytest.approx(np.abs(images - hq).mean(), rel=0.01)
            expected = {
                't_of': temporal.motion_error(images, hq),
                'warping_error': temporal.warping_error(images, hq),
                't_lp_alex': np.abs(
                    np.abs(np.diff(images, axis=0)).mean((1, 2, 3))
                    - np.abs(np.diff(hq, axis=0)).mean((1, 2, 3))
                ).mean(),
            }
            assert {key: row[key] for key in expected} == pytest.approx(expected, rel=0.02)


def test_results_of_others_are_measured_and_what_does_not_fit_is_named(films, tmp_path, capsys):
    folder, _ = films
    file = tmp_path / 'numbers.json'
    assert benchmark(folder, '--results', folder, '--json', file) == 0
    record = json.loads(file.read_text())
    assert record['mean'].keys() == {'result'}
    assert record['mean']['result']['t_of'] == 0
    (folder / 'a' / '0002.png').unlink()
    save_image(folder / 'a' / '0002.png', np.zeros((30, 37, 3), np.float32))
    made = tmp_path / 'made' / 'more' / 'b'
    made.mkdir(parents=True)
    save_image(made / '0000.png', np.zeros((34, 37, 3), np.float32))
    assert benchmark(folder, '--results', tmp_path / 'made') == 1
    error = capsys.readouterr().err
    assert 'a: its frames are not all of one size' in error
    assert 'b: 1 frames of 37x34 pixels, but the true ones are 3 frames of 37x34' in error


@pytest.mark.parametrize(
    ('source', 'arguments', 'message'),
    [
        ('frames:{hq}', ('--results', '{hq}', '--fid', 'x.pth'), '--fid and --samples are for'),
        ('folder:{hq}', ('--results', '{hq}', '--degradation', 'gaussian'), 'is for clips, frames'),
        ('moving:photos', ('--results', '{hq}'), 'frames:<folder of folders>'),
        ('frames:{empty}', ('--results', '{hq}'), 'no images in the folders here'),
    ],
)
def test_bad_input_is_told(source, arguments, message, tmp_path, capsys):
    places = {name: tmp_path / name for name in ('hq', 'empty')}
    for place in places.values():
        place.mkdir()
    given = (argument.format(**places) for argument in (source, *arguments))
    assert verbs.main(['benchmark', *given]) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ') and message in error
