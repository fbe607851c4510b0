"""`sr-jax benchmark`: whole images of a network or in a folder, measured."""

import json

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_networks import network, overflowing, whole

from sr_jax import __main__ as verbs
from sr_jax.commands.shared import measures
from sr_jax.degradations import bicubic
from sr_jax.images.decoding import to_uint8
from sr_jax.images.files import load_image, save_image
from sr_jax.inference import networks
from sr_jax.metrics import fid
from sr_jax.metrics.protocol import parse

pytestmark = pytest.mark.usefixtures('one_device')
SIZES = {'a': (33, 40), 'more/b': (41, 37)}  # that the scale of 2 does not divide


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """The file of a network that doubles sides."""
    path = tmp_path_factory.mktemp('weights') / 'srvgg.safetensors'
    networks.save(path, network('srvgg'))
    return str(path)


@pytest.fixture
def true(tmp_path):
    """A folder of true images; returns it and the images by name."""
    rng = np.random.default_rng(0)
    found = {}
    for name, (height, width) in SIZES.items():
        low = rng.random((height // 4 + 1, width // 4 + 1, 3), np.float32)
        image = low.repeat(4, 0).repeat(4, 1)[:height, :width]
        (tmp_path / 'hq' / name).parent.mkdir(parents=True, exist_ok=True)
        save_image(tmp_path / 'hq' / f'{name}.png', image)
        found[name] = load_image(tmp_path / 'hq' / f'{name}.png')
    return tmp_path / 'hq', found


def benchmark(*arguments):
    return verbs.main(['benchmark', *map(str, arguments)])


def shrunk(image):
    """The small image of the benchmark, by its definition."""
    return np.asarray(bicubic.degrade(jnp.asarray(image)[None], 2, rounded=True)[0])


def eight_bits(image):
    return to_uint8(image).astype(np.float32) / 255


def test_a_network_is_measured_by_several_protocols(weights, true, tmp_path, capsys):
    folder, images = true
    file = tmp_path / 'numbers.json'
    chosen = ('--protocol', 'y_matlab_crop2,rgb_crop3', '--json', file)
    assert benchmark(f'folder:{folder}', '--weights', weights, *chosen) == 0
    record = json.loads(file.read_text())
    assert (record['scale'], record['small_images'], record['failed']) == (2, 'bicubic', [])
    assert list(record['images']) == ['a.png', 'more/b.png']
    shown = capsys.readouterr().out.splitlines()
    columns = next(line.split() for line in shown if line.startswith('image '))
    for name, image in images.items():
        hq = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        lq = shrunk(hq)
        made = eight_bits(whole(network('srvgg'), lq))
        row = record['images'][f'{name}.png']['result']
        assert columns == ['image', *row]
        for protocol in map(parse, ('y_matlab_crop2', 'rgb_crop3')):
            psnr, ssim = protocol.psnr(made, hq), protocol.ssim(made, hq)
            assert row[f'psnr_{protocol.name}'] == pytest.approx(psnr, abs=0.05)
            assert row[f'ssim_{protocol.name}'] == pytest.approx(ssim, abs=0.002)
        consistency = parse('rgb_crop0').psnr(shrunk(made), lq)
        assert row['lq_psnr_rgb_crop0'] == pytest.approx(consistency, abs=0.05)
    for enlarger in ('result', 'bicubic'):
        rows = [both[enlarger] for both in record['images'].values()]
        means = {key: np.mean([row[key] for row in rows]) for key in rows[0]}
        assert record['mean'][enlarger] == pytest.approx(means)
    bicubic_mean, result_mean = record['mean']['bicubic'], record['mean']['result']
    # The network's weights are random.
    assert bicubic_mean['lq_psnr_rgb_crop0'] > result_mean['lq_psnr_rgb_crop0']


def test_a_folder_of_what_the_network_made_has_the_same_numbers(weights, true, tmp_path, capsys):
    folder, images = true
    for name, image in images.items():
        hq = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        for kind, image in (('lq', shrunk(hq)), ('made', whole(network('srvgg'), shrunk(hq)))):
            path = tmp_path / kind / f'{name}x2.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            save_image(path, image)
    pairs = f'paired:{folder}:{tmp_path / "lq"}'
    runs = {
        'network': (f'folder:{folder}', '--weights', weights),
        'paired': (pairs, '--weights', weights),
        'scale': (f'folder:{folder}', '--results', tmp_path / 'made', '--scale', 2),
    }
    found = {}
    for kind, arguments in runs.items():
        assert benchmark(*arguments, '--json', tmp_path / f'{kind}.json') == 0
        found[kind] = json.loads((tmp_path / f'{kind}.json').read_text())
        for enlarger in ('result', 'bicubic'):
            numbers, wanted = found[kind]['mean'][enlarger], found['network']['mean'][enlarger]
            assert numbers == pytest.approx(wanted, abs=0.05), kind
    assert 'psnr_y_matlab_crop2' in found['scale']['mean']['result']
    assert found['paired']['small_images'] == pairs


def test_the_scale_of_results_is_that_of_the_pairs(true, tmp_path):
    _, images = true
    for name, image in images.items():
        hq = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        for kind, image in (('even', hq), ('lq', shrunk(hq)), ('made', hq)):
            path = tmp_path / kind / f'{name}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            save_image(path, image)
    file = tmp_path / 'numbers.json'
    pairs = f'paired:{tmp_path / "even"}:{tmp_path / "lq"}'
    assert benchmark(pairs, '--results', tmp_path / 'made', '--json', file) == 0
    record = json.loads(file.read_text())
    assert record['scale'] == 2
    numbers = record['mean']['result']
    # The true images themselves: nothing is wrong with them, and JSON knows no infinity.
    assert numbers['psnr_y_matlab_crop2'] == numbers['lq_psnr_rgb_crop0'] == 'inf'
    assert numbers['ssim_rgb_crop2'] == pytest.approx(1)


def test_results_without_a_scale_are_measured_uncropped(true, tmp_path):
    folder, _ = true
    file = tmp_path / 'numbers.json'
    assert benchmark(f'folder:{folder}', '--results', folder, '--json', file) == 0
    record = json.loads(file.read_text())
    assert record['scale'] is record['small_images'] is None
    names = {f'{kind}_{p}_crop0' for kind in ('psnr', 'ssim') for p in ('rgb', 'y_matlab')}
    assert record['mean'].keys() == {'result'}
    assert set(record['mean']['result']) == names


class Differences:
    """In the place of LPIPS."""

    def __init__(self, kind):
        self.name = f'lpips_{kind}'

    def __call__(self, image, reference):
        return float(np.abs(image - reference).mean())


class Means(nn.Module):
    """In the place of Inception: few of its features are not zero."""

    def __call__(self, x):
        return jnp.pad(x.mean(axis=(1, 2)), ((0, 0), (0, 2045)))


class Brightness:
    """In the place of NIQE and MUSIQ."""

    def __init__(self, name):
        self.name = name

    def __call__(self, image):
        return float(image.mean())


def test_lpips_and_fid_have_their_columns(weights, true, tmp_path, monkeypatch, capsys):
    folder, _ = true
    monkeypatch.setattr(measures, 'load_dists', lambda path: Differences(path))
    monkeypatch.setattr(measures, 'load_niqe', Brightness)
    monkeypatch.setattr(measures, 'load_musiq', Brightness)
    monkeypatch.setattr(measures.lpips, 'load', Differences)
    module = fid.Fid(Means(), {}, 'bicubic')
    asked = []
    monkeypatch.setattr(measures, 'load_fid', lambda *given: asked.append(given) or module)
    file = tmp_path / 'numbers.json'
    wanted = ('--lpips', 'vgg', '--lpips', 'alex', '--fid', 'f.pth', '--fid-resize', 'bicubic')
    wanted += ('--dists', 'd.pth', '--niqe', 'n.mat', '--musiq', 'm.pth')
    source = f'folder:{folder}'
    assert benchmark(source, '--weights', weights, *wanted, '--json', file) == 0
    assert asked == [('f.pth', 'bicubic')]
    record = json.loads(file.read_text())
    for numbers in record['mean'].values():
        assert numbers['fid_bicubic'] > 0
        assert numbers['lpips_vgg'] == numbers['lpips_alex'] == numbers['lpips_d.pth'] > 0
        assert numbers['n.mat'] == numbers['m.pth'] > 0
    shown = capsys.readouterr()
    assert 'FID over 2 images, no more than its 2048 features, is biased upwards' in shown.err
    assert 'fid_bicubic, bicubic: ' in shown.out
    sets = {}
    for kind in ('true', 'made'):
        sets[kind] = fid.ImageSet(module)
    for name, (height, width) in SIZES.items():
        hq = load_image(folder / f'{name}.png')[: height // 2 * 2, : width // 2 * 2]
        sets['true'].add(hq)
        sets['made'].add(whole(network('srvgg'), shrunk(hq)))
    expected = fid.frechet_distance(sets['made'].statistics(), sets['true'].statistics())
    assert record['mean']['result']['fid_bicubic'] == pytest.approx(expected, rel=0.01)


def test_what_fails_is_named_and_the_others_are_done(weights, true, tmp_path, capsys):
    folder, _ = true
    (folder / 'broken.png').write_bytes(b'not an image')
    save_image(folder / 'dot.png', np.zeros((1, 9, 3), np.float32))
    save_image(folder / 'small.png', np.zeros((12, 20, 3), np.float32))
    file = tmp_path / 'numbers.json'
    assert benchmark(f'folder:{folder}', '--weights', weights, '--json', file) == 1
    shown = capsys.readouterr()
    assert f'error: {folder / "broken.png"}: ' in shown.err
    assert f'{folder / "dot.png"}: 9x1 pixels are too small for a scale of 2' in shown.err
    assert 'error: small.png: SSIM needs at least 11x11 pixels after cropping' in shown.err
    assert '3 of 5 images could not be done' in shown.err
    record = json.loads(file.read_text())
    assert record['failed'] == ['broken.png', 'dot.png', 'small.png']
    assert len(record['images']) == 2
    assert 'mean' in shown.out


def test_what_is_not_finite_is_named(true, tmp_path, capsys):
    networks.save(tmp_path / 'large.safetensors', overflowing())
    arguments = ['--weights', tmp_path / 'large.safetensors', '--dtype', 'float16']
    assert benchmark(f'folder:{true[0]}', *arguments) == 1
    shown = capsys.readouterr().err
    assert 'error: a.png: what' in shown and 'error: more/b.png: what' in shown
    assert 'not finite' in shown and '2 of 2 images could not be done' in shown


def test_nothing_measured_is_no_mean(weights, tmp_path, capsys):
    (tmp_path / 'hq').mkdir()
    (tmp_path / 'hq' / 'broken.png').write_bytes(b'not an image')
    file = tmp_path / 'numbers.json'
    assert benchmark(f'folder:{tmp_path / "hq"}', '--weights', weights, '--json', file) == 1
    assert json.loads(file.read_text())['mean'] == {}
    assert 'mean' not in capsys.readouterr().out


def test_fid_of_what_is_left_of_two_images_is_not_told(
    weights, true, tmp_path, monkeypatch, capsys
):
    folder, _ = true
    (folder / 'a.png').write_bytes(b'not an image')
    monkeypatch.setattr(measures, 'load_fid', lambda *given: fid.Fid(Means(), {}))
    assert benchmark(f'folder:{folder}', '--weights', weights, '--fid', 'f.pth') == 1
    assert 'no FID, for fewer than two images could be measured' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('sizes', 'message'),
    [
        (((20, 24), (10, 11)), '24x20 pixels are not 2 times the 11x10 of its small one, '),
        (((23, 24), (10, 12)), '24x23 pixels are not 2 times the 12x10 of its small one, '),
    ],
)
def test_pairs_that_do_not_fit_the_scale_are_named(weights, tmp_path, capsys, sizes, message):
    for kind, size in zip(('hq', 'lq'), sizes, strict=True):
        (tmp_path / kind).mkdir()
        save_image(tmp_path / kind / 'x.png', np.zeros((*size, 3), np.float32))
    assert benchmark(f'paired:{tmp_path / "hq"}:{tmp_path / "lq"}', '--weights', weights) == 1
    assert f'x.png: {message}{tmp_path / "lq" / "x.png"}' in capsys.readouterr().err


def test_results_of_another_size_are_named(true, tmp_path, capsys):
    folder, _ = true
    for name in SIZES:
        (tmp_path / 'made' / name).parent.mkdir(parents=True, exist_ok=True)
        save_image(tmp_path / 'made' / f'{name}.png', np.zeros((32, 40, 3), np.float32))
    made, source = tmp_path / 'made', f'folder:{folder}'
    assert benchmark(source, '--results', made) == 1
    error = capsys.readouterr().err
    assert f'{made / "a.png"}: 40x32 pixels, but the true image {folder / "a.png"}' in error
    assert 'has 40x33: ' in error
    assert benchmark(source, '--results', made, '--scale', 2) == 1
    error = capsys.readouterr().err
    assert 'a.png: ' not in error
    assert 'has 36x40, cut for a scale of 2' in error


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['folder:{empty}', '--weights', '{weights}'], 'no images in this folder or below it'),
        (['folder:/nowhere', '--weights', '{weights}'], '/nowhere: no such folder'),
        (['foldr:{hq}', '--weights', '{weights}'], "did you mean 'folder:<path>'"),
        (['folder:{hq}', '--weights', '{weights}', '--protocol', 'rgb'], "no such protocol: 'rg"),
        (['folder:{hq}', '--weights', '{weights}', '--tile', '-1'], '--tile -1'),
        (['folder:{hq}', '--weights', '{weights}', '--scale', '2'], '--scale is for --results'),
        (['folder:{hq}', '--weights', '{weights}', '--json', '{empty}'], 'is a folder'),
        (['folder:{hq}', '--weights', '{weights}', '--json', '/no/x'], 'there is no folder /no;'),
        (['folder:{hq}', '--weights', '{weights}', '--fid', '{weights}'], 'weights of srvgg'),
        (['folder:{one}', '--weights', '{weights}', '--fid', 'x.pth'], 'at least two images'),
        (['paired:{hq}:{one}', '--weights', '{weights}'], 'has no partner in'),
        (['folder:{hq}'], 'name either a network (--weights) or a folder of --results'),
        (['folder:{hq}', '--results', '{hq}', '--weights', 'x'], 'name either a network'),
        (['folder:{hq}', '--results', '{one}'], 'has no partner in'),
        (['photos', '--results', '{hq}'], 'the true ones must be folder:<path> or'),
        (['folder:{hq}', '--results', '{hq}', '--scale', '0'], '--scale 0: it must'),
        (['folder:{hq}', '--results', '{hq}', '--halo', '0'], '--halo is for a net'),
        (['folder:{hq}', '--results', '{hq}', '--best'], '--best is for a network'),
        (['folder:{hq}', '--weights', '{vqvae}'], 'does not enlarge images'),
    ],
)
def test_bad_input_gets_a_message_and_status_1(arguments, message, weights, true, tmp_path, capsys):
    for folder in ('empty', 'one'):
        (tmp_path / folder).mkdir()
    save_image(tmp_path / 'one' / 'a.png', np.zeros((32, 40, 3), np.float32))
    if arguments[-1] == '{vqvae}':
        networks.save(tmp_path / 'vqvae.safetensors', network('vqvae'))
    places = {name: tmp_path / name for name in ('hq', 'empty', 'one')}
    places |= {'vqvae': tmp_path / 'vqvae.safetensors', 'weights': weights}
    assert benchmark(*(argument.format(**places) for argument in arguments)) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert message in error
