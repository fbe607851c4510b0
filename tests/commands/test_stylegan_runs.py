"""A StyleGAN2 that is trained, resumed, drawn from and projected with."""

import json

import jax
import numpy as np
import pytest
import tiny
from saved import restored

from sr_jax import __main__ as verbs
from sr_jax.commands.project import fit
from sr_jax.images.files import load_image, save_image
from sr_jax.inference import networks, style_images
from sr_jax.inference.projection import neighbor_products
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.training import loop

pytestmark = pytest.mark.usefixtures('one_device')


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """The folder of a run of 4 steps in one go, of which all are kept."""
    workdir = tmp_path_factory.mktemp('stylegan') / 'run'
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.see_one_device(monkeypatch)
        loop.train(tiny.stylegan(), workdir)
    return workdir


def sample(run, output, *words):
    """Draws two at a time."""
    return verbs.main(['sample', str(run), '--output', str(output), '--batch', '2', *words])


def drawn(folder, count):
    return [(folder / f'{index:04d}.png').read_bytes() for index in range(count)]


@pytest.mark.slow
def test_going_on_is_bit_for_bit_the_same(run, tmp_path, monkeypatch):
    loop.train(tiny.stylegan(train__steps=2), tmp_path)
    loop.train(tiny.stylegan(), tmp_path)
    resumed, expected = restored(tmp_path, 4), restored(run, 4)
    jax.tree.map(np.testing.assert_array_equal, resumed.tree, expected.tree)
    assert resumed.data == expected.data


def test_what_is_logged_and_measured(run):
    lines = [json.loads(line) for line in (run / 'metrics.jsonl').read_text().splitlines()]
    steps = [line for line in lines if line['event'] == 'train']
    assert all(line['r1'] > 0 and line['path_length'] > 0 for line in steps)
    (last,) = [line for line in lines if line['event'] == 'validation' and line['step'] == 4]
    assert last['frechet'] > 0
    assert load_image(next((run / 'samples').iterdir())).shape[1] == 3 * 8 + 2 * 2


def test_samples_are_those_of_their_seeds(run, tmp_path, capsys):
    assert sample(run, tmp_path / 'five', '--count', '5') == 0
    assert sample(run, tmp_path / 'later', '--count', '3', '--seed', '2', '--batch', '3') == 0
    five, later = drawn(tmp_path / 'five', 5), drawn(tmp_path / 'later', 3)
    assert five[2:] == later
    assert len(set(five)) == 5
    capsys.readouterr()
    (tmp_path / 'five' / '0003.png').unlink()
    assert sample(run, tmp_path / 'five', '--count', '5', '--skip-existing') == 0
    assert '5 samples, of which 1 were drawn now' in capsys.readouterr().out
    assert five == drawn(tmp_path / 'five', 5)


def test_truncation_leads_to_the_mean_style(run, tmp_path):
    assert sample(run, tmp_path / 'none', '--count', '2', '--truncation', '0') == 0
    first, second = drawn(tmp_path / 'none', 2)
    assert first == second
    images = style_images.StyleImages(networks.load(run), 0.5, 2)
    whole = style_images.StyleImages(networks.load(run), 1.0, 2)
    half = (whole.draw_styles([7]) + np.asarray(whole.mean)) / 2
    np.testing.assert_allclose(images.draw_styles([7]), half, atol=1e-6)


def test_styles_are_mixed_and_lines_between_them_closed():
    styles = np.arange(6, dtype=np.float32).reshape(3, 2)
    path = style_images.interpolate(styles, 4)
    assert path.shape == (12, 2)
    np.testing.assert_array_equal(path[::4], styles)
    np.testing.assert_allclose(path[9], 0.75 * styles[2] + 0.25 * styles[0])
    layers = style_images.layers_of('middle', 6)
    mixed = style_images.mix(styles[:2], styles[2:], 6, layers)
    assert mixed.shape == (2, 6, 2)
    np.testing.assert_array_equal(mixed[1, :, 0], [2, 2, 2, 2, 4, 4])
    assert style_images.layers_of('fine', 6) == slice(6, 6)
    assert style_images.layers_of('coarse', 14) == slice(0, 4)


def test_a_sheet_of_mixed_styles_and_a_film(run, tmp_path, capsys):
    words = ('--count', '4', '--mixing', '1', '--film', '0.08')
    assert sample(run, tmp_path, *words) == 0
    said = capsys.readouterr().out
    assert 'rows are samples with the coarse styles of those above' in said
    assert 'interpolation.mp4: 8 frames, from each of 4 samples to the next' in said
    sheet = load_image(tmp_path / 'mixing.png')
    assert sheet.shape[:2] == (2 * 8 + 2, 4 * 8 + 3 * 2)
    np.testing.assert_array_equal(sheet[10:, :8], load_image(tmp_path / '0000.png'))


REFUSED = [
    (('--mixing', '2', '--count', '2'), '--mixing 2 of --count 2: some samples must be left'),
    (('--truncation', '-0.5'), '--truncation -0.5: it must be from 0 to 2'),
    (('--temperature', '0.9'), '--temperature is of priors over codes, and .* is a generator of'),
    (('--class', '1'), '--class is of priors over codes'),
    (('--film', '-1'), '--film -1.0: it must be at least 0'),
]


@pytest.mark.parametrize(('words', 'message'), REFUSED)
def test_what_cannot_be_meant_is_refused(run, tmp_path, capsys, words, message):
    import re

    assert sample(run, tmp_path, *words) == 1
    assert re.search(message, capsys.readouterr().err)


def test_another_network_draws_nothing_of_styles(tmp_path, capsys):
    vqvae = {'name': 'srresnet', **tiny.NETWORKS['srresnet']}
    model = networks.LoadedNetwork(vqvae, {}, 'x').module()
    x = np.zeros((1, 5, 6, 3), np.float32)
    variables = jax.jit(draw_in_loops(model.init))(jax.random.key(0), x)
    file = tmp_path / 'other.safetensors'
    networks.save(file, networks.LoadedNetwork(vqvae, dict(variables), 'x'))
    assert sample(file, tmp_path / 'out') == 1
    assert 'is a srresnet, which draws no images from latents' in capsys.readouterr().err


def test_an_image_of_the_generator_is_found_again(run, tmp_path, capsys):
    images = style_images.StyleImages(networks.load(run), 1.0, 1)
    (image,) = images.make(images.repeat(images.draw_styles([3])))
    (mean,) = images.make(images.repeat(np.asarray(images.mean)[None]))
    save_image(tmp_path / 'given.png', image)
    words = ['project', str(tmp_path / 'given.png'), '--weights', str(run), '--steps', '60']
    words += ['--distance', 'pixels', '--output', str(tmp_path / 'out')]
    assert verbs.main(words) == 0
    said = capsys.readouterr().out
    found = load_image(tmp_path / 'out' / 'projected.png')
    assert f'mse {np.square(found - image).mean():.3f}' in said
    assert np.square(found - image).mean() < 0.3 * np.square(mean - image).mean()
    with np.load(tmp_path / 'out' / 'latents.npz') as latents:
        assert latents['style'].shape == (5,)
        noise = [latents[f'noise_{i:02d}'] for i in range(3)]
    assert [map_.shape for map_ in noise] == [(4, 4), (8, 8), (8, 8)]
    for map_ in noise:
        np.testing.assert_allclose([map_.mean(), map_.std()], [0, 1], atol=1e-4)
    assert verbs.main(words) == 1
    assert 'projected.png (and 2 more) is there already' in capsys.readouterr().err


def test_images_of_any_sides_and_kinds_are_fitted():
    gray = np.linspace(0, 1, 24 * 40, dtype=np.float32).reshape(24, 40, 1)
    assert fit(gray, 8).shape == (8, 8, 3)
    assert fit(np.repeat(gray, 4, axis=2), 16).shape == (16, 16, 3)


def test_products_of_neighbors_are_seen_at_each_resolution():
    board = (-1.0) ** np.add.outer(np.arange(16), np.arange(16)).reshape(1, 16, 16, 1)
    assert neighbor_products(board) == pytest.approx(2)  # neighbors are opposite; halved, it is 0
    blocks = np.kron(board[0, :8, :8, 0], np.ones((2, 2))).reshape(1, 16, 16, 1)
    assert neighbor_products(blocks) == pytest.approx(2 * 2**4)
