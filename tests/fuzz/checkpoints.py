"""A tiny checkpoint, and what becomes of the JSON in it."""

import copy
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from fuzz import damage
from hypothesis import strategies as st
from tiny import vqvae

from sr_jax import tasks
from sr_jax.checkpoints import metadata
from sr_jax.checkpoints.manager import FOLDER, Checkpoints
from sr_jax.checkpoints.run import init_tree, refuse_to_load, resume_or_init
from sr_jax.data.pipeline import train_iterator
from sr_jax.devices import sharding
from sr_jax.training.settings import read_settings

STEP = 4
SETTINGS = read_settings(vqvae())
VALUES = (
    *(0, -1, 1, 2, 7, 2**31, 2**70, 10**9, 10**500, 1.5, 1e308, float('nan'), float('inf')),
    *(True, None, '', 'vqvae', 'srflow', 'esrgan', 'float16', '..', '/', '../../x', '__init__'),
    *('a' * 5000, '%s', '\0', 'é', [], {}, [1], [[[]]], {'a': 1}, {'name': 'rrdb'}),
    *({'num_blocks': 10**9}, ['layer_0/conv'], {'layers': ['encoder'], 'breadth': 10**9}),
)
TEXTS = (
    *(b'', b'null', b'{', b'[' * 10**5, b'{"a":' * 10**5, b'9' * 10**4, b'\xff\xfe'),
    *(b'"\\ud800"', b'[' * 10**6 + b']' * 10**6),
)


def seed(folder: Path) -> Path:
    """A run's folder with one checkpoint, of the first step of a tiny VQ-VAE."""
    config, workdir = vqvae(), folder / 'seed'
    task, mesh = tasks.make(config), sharding.make_mesh(jax.devices()[:1])
    batch = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), task.batch(1))
    tree = jax.jit(functools.partial(init_tree, task))(jax.random.key(0), batch)
    tree = jax.device_put(tree, sharding.layout(tree, mesh))
    iterator = train_iterator(SETTINGS.data, 4, 0)
    data = iterator.get_state()
    iterator.close()
    found = Checkpoints(workdir, SETTINGS.checkpoint)
    found.save(STEP, tree, config=config, data=data, metrics={'mse': 0.5, 'psnr_rgb_crop0': 3})
    found.close()
    return workdir


@functools.cache
def iterator():
    """The data of a run that resumes."""
    return train_iterator(SETTINGS.data, 4, 0)


def resumed(found, mesh, report):
    """What a run of the seed's config resumes with: where its data was, None if not said."""
    config = vqvae()
    task = tasks.make(config)
    return resume_or_init(found, config, task, mesh, refuse_to_load, report)[2]


def names(workdir: Path) -> list[str]:
    """The files of JSON in the seed's checkpoint, from its folder."""
    folder = workdir / FOLDER / str(STEP)
    files = [path for path in folder.rglob('*') if path.is_file()]
    found = [path for path in files if path.read_bytes().startswith(b'{')]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def copied(workdir: Path, folder: Path, name: str, data: bytes) -> Path:
    """A copy of the seed, one of whose files holds something else."""
    run = folder / 'run'
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(workdir, run)
    (run / FOLDER / str(STEP) / name).write_bytes(data)
    return run


@st.composite
def damaged(draw, workdir: Path) -> tuple[Path, str, bytes]:
    """The seed, the name of one of its files, and what that is to hold."""
    kind = draw(st.sampled_from(['record', 'record', 'record', 'values', 'bytes', 'text']))
    name = 'run/metadata' if kind == 'record' else draw(st.sampled_from(names(workdir)))
    data = (workdir / FOLDER / str(STEP) / name).read_bytes()
    if kind == 'record':
        data = json.dumps(draw(_records(json.loads(data)))).encode()
    elif kind == 'values':
        data = json.dumps(draw(_changed(json.loads(data)))).encode()
    elif kind == 'bytes':
        data = damage.edited(data, draw(damage.edits))
    else:
        data = draw(st.sampled_from(TEXTS))
    return workdir, name, data


@st.composite
def _records(draw, saved: dict[str, Any]) -> dict[str, Any]:
    """What lies beside the arrays, changed by one who knows the checksum."""
    saved.pop('checksum')
    config = json.loads(saved['config'])
    part = draw(st.sampled_from(['config', 'config', 'config', 'model', 'rest', 'none']))
    if part == 'config':
        config = draw(_changed(config))
    elif part == 'model':
        key = draw(st.sampled_from([*config['model'], 'num_blocks', 'parent', 'name', 'x']))
        config['model'][key] = draw(st.sampled_from(VALUES))
    saved['config'] = json.dumps(config)
    if part == 'rest':
        saved = draw(_changed(saved))
    if draw(st.booleans()) and isinstance(saved, dict):
        saved['checksum'] = metadata._checksum(saved)
    return saved


@st.composite
def _changed(draw, value: Any) -> Any:
    """A value of JSON in which one to three things, at any depth, are others."""
    value = {'': copy.deepcopy(value)}
    for _ in range(draw(st.integers(1, 3))):
        within, key = value, ''
        while isinstance(within[key], dict | list) and within[key] and draw(st.integers(0, 5)):
            within = within[key]
            keys = sorted(within) if isinstance(within, dict) else range(len(within))
            key = draw(st.sampled_from(keys))
        what = draw(st.sampled_from(['value', 'value', 'gone', 'name']))
        if what == 'value' or within is value:
            within[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        elif what == 'gone':
            del within[key]
        elif isinstance(within, dict):
            within[draw(st.sampled_from(['', 'x', 'a.b', '__class__', 'items', 'lock', '..']))] = (
                within.pop(key)
            )
    return value['']
