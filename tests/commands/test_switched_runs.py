"""From a dense run to a switched one: started from, converted, trained, and looked at."""

import contextlib
import io
import json
import types

import jax
import numpy as np
import pytest
import tiny
from PIL import Image

from sr_jax import __main__ as verbs
from sr_jax.checkpoints.manager import Checkpoints
from sr_jax.commands import convert_to_switched
from sr_jax.config.defaults import defaults
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.images import selector_map
from sr_jax.images.contact_sheet import GAP, TEXT
from sr_jax.images.files import save_image
from sr_jax.training import loop as command

pytestmark = pytest.mark.usefixtures('one_device')

LAYERS = ('encoder_bottom/conv', 'decoder/conv')
SWITCHING = {'layers': LAYERS, 'breadth': 4, 'network': 'standard', 'norm_start': 'first'}


def config_of(**changes):
    """The form that can be switched whole, as the documentation's runs have it."""
    return tiny.changed(tiny.shrink(tiny.vqvae_config.get_config('nearest')), **changes)


@pytest.fixture(scope='module')
def dense(tmp_path_factory):
    """The folder of a run of 4 steps."""
    workdir = tmp_path_factory.mktemp('dense')
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.see_one_device(monkeypatch)
        command.train(config_of(), workdir)
    return workdir


@pytest.fixture(scope='module')
def switched(dense, tmp_path_factory):
    """The folder of a run of 4 steps that started from the dense one, and what it printed."""
    workdir, printed = tmp_path_factory.mktemp('switched'), io.StringIO()
    with pytest.MonkeyPatch.context() as monkeypatch, contextlib.redirect_stdout(printed):
        tiny.see_one_device(monkeypatch)
        monkeypatch.setattr(command, 'DEAD_BELOW', 0.9)
        config = config_of(model__switching=SWITCHING, train__start_from=str(dense))
        command.train(config, workdir)
    return workdir, printed.getvalue()


@pytest.mark.slow
def test_a_run_starts_from_a_dense_one(switched):
    workdir, printed = switched
    assert '2 convolutions switched, begins with the network of' in printed
    lines = [json.loads(line) for line in (workdir / 'metrics.jsonl').read_text().splitlines()]
    first = next(line for line in lines if line['event'] == 'train')
    for layer in LAYERS:
        assert 0 < first[f'entropy/{layer}'] <= np.log(4) + 1e-6
        assert 0 <= first[f'min_share/{layer}'] <= 0.25 + 1e-6
    assert (workdir / 'selectors' / '00000004.png').exists()


def test_kernels_that_are_hardly_used_are_named_once(switched):
    for layer in LAYERS:
        assert switched[1].count(f'a kernel of {layer} is used for') == 1


def test_an_unfitting_start_is_refused_and_named(dense, tmp_path):
    config = config_of(model__channels=4, train__start_from=str(dense))
    with pytest.raises(InputError, match=r'start_from=.* does not fit.*params/decoder'):
        command.train(config, tmp_path)


def test_a_layer_that_does_not_exist_is_refused(tmp_path):
    config = config_of(model__switching={**SWITCHING, 'layers': ('decoder/cow',)})
    with pytest.raises(InputError, match=r"'decoder/cow'.*did you mean 'decoder/conv'"):
        command.train(config, tmp_path)


def convert(run, output, *layers):
    arguments = ['--breadth', '4', '--selector', 'standard', '--output', str(output)]
    return verbs.main(['convert-to-switched', str(run), '--layers', *layers, *arguments])


def test_a_converted_run_measures_the_same_and_trains_on(dense, tmp_path, capsys):
    output = tmp_path / 'converted'
    assert convert(dense, output, *LAYERS) == 0
    numbers = {}
    for name, run in (('dense', dense), ('switched', output)):
        target = tmp_path / f'{name}.json'
        assert verbs.main(['evaluate', str(run), '--json', str(target)]) == 0
        numbers[name] = json.loads(target.read_text())
    assert numbers['switched']['mse'] == pytest.approx(numbers['dense']['mse'], rel=1e-5)
    assert numbers['switched']['step'] == 0
    found = Checkpoints(output)
    config = found.config(0).unlock()
    found.close()
    config.train.steps = 1
    capsys.readouterr()
    assert command.train(config.lock(), output).step == 1
    assert 'resuming from' in capsys.readouterr().out


def test_a_conversion_that_cannot_be_leaves_nothing_behind(finished, switched, tmp_path, capsys):
    output = tmp_path / 'converted'
    assert convert(finished[0], output, 'decoder/up_0/conv') == 1
    assert "'decoder/up_0/conv'" in capsys.readouterr().err
    assert not output.exists()
    assert convert(switched[0], output, *LAYERS) == 1
    assert 'switched convolutions already' in capsys.readouterr().err
    output.mkdir()
    assert convert(finished[0], output, *LAYERS) == 1
    assert 'exists: take another --output' in capsys.readouterr().err


def test_a_network_that_has_no_switched_convolutions_is_named(tmp_path, monkeypatch, capsys):
    run = types.SimpleNamespace(config=defaults('regression', model='srresnet'))
    monkeypatch.setattr(convert_to_switched, 'load_run', lambda *_, **__: run)
    output = tmp_path / 'converted'
    assert convert('runs/enlarger', output, 'body_0/conv_0') == 1
    assert 'cannot become switched ones; those of networks deeplab, ' in capsys.readouterr().err
    assert not output.exists()


def test_selector_maps_of_an_image(switched, tmp_path, capsys):
    rng = np.random.default_rng(0)
    save_image(tmp_path / 'odd.png', rng.random((70, 90, 3), np.float32))
    (tmp_path / 'broken.jpg').write_bytes(b'\xff\xd8\xff not an image')
    images = [str(tmp_path / name) for name in ('broken.jpg', 'odd.png')]
    output = tmp_path / 'maps'
    assert verbs.main(['selector-maps', str(switched[0]), *images, '--output', str(output)]) == 1
    with Image.open(tmp_path / 'maps' / 'odd.png') as sheet:
        assert sheet.width > 3 * 3 * 90
        assert sheet.height > 3 * 70
    printed, errors = capsys.readouterr()
    assert 'broken.jpg' in errors
    for layer in LAYERS:
        (line,) = (line for line in printed.splitlines() if line.split()[:1] == [layer])
        shares = [float(word.rstrip('%')) for word in line.split() if word.endswith('%')]
        assert len(shares) == 4
        assert sum(shares) == pytest.approx(100, abs=0.5)


def test_maps_of_what_is_not_finite_are_an_error(switched, tmp_path, monkeypatch, capsys):
    save_image(tmp_path / 'a.png', np.zeros((16, 18, 3), np.float32))
    made = {'image': np.full((1, 64, 64, 3), np.nan), 'choices': {}}
    monkeypatch.setattr(sharding, 'jit_predict', lambda *_: lambda variables, batch: made)
    command = ['selector-maps', str(switched[0]), str(tmp_path / 'a.png')]
    assert verbs.main([*command, '--output', str(tmp_path / 'maps')]) == 1
    assert 'error: a.png: what' in (shown := capsys.readouterr().err) and 'not finite' in shown
    assert not list((tmp_path / 'maps').iterdir())


def test_a_dense_network_has_no_maps(dense, tmp_path, capsys):
    save_image(tmp_path / 'a.png', np.zeros((16, 16, 3), np.float32))
    assert verbs.main(['selector-maps', str(dense), str(tmp_path / 'a.png')]) == 1
    assert 'no switched convolutions' in capsys.readouterr().err


def test_a_drawn_map_shows_each_pixel_in_the_colour_of_its_kernel():
    image = np.zeros((64, 64, 3), np.float32)
    choice = np.zeros((16, 16), np.int32)
    choice[8:, 4:] = 2
    sheet = selector_map.draw(image, {'layer': choice}, 3)
    colors = np.asarray(jax.device_get(selector_map.palette(3)))
    zoom, gap, text = 4, GAP, TEXT
    left = gap + zoom * 64 + gap
    corner = sheet[gap + text : gap + text + zoom * 64, left : left + zoom * 64]
    np.testing.assert_allclose(corner[10, 10], colors[0], atol=1 / 255)
    np.testing.assert_allclose(corner[zoom * 64 - 5, zoom * 64 - 5], colors[2], atol=1 / 255)
    np.testing.assert_allclose(corner[zoom * 33, zoom * 4 * 4 - 2], colors[0], atol=1 / 255)
    np.testing.assert_allclose(corner[zoom * 33, zoom * 4 * 4 + 2], colors[2], atol=1 / 255)
