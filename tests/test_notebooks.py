"""The notebooks run from the first cell to the last, with smaller numbers than they show."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from tiny_networks import network

from sr_jax.inference import networks

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / 'notebooks').glob('*.ipynb'))

# What takes the place of the numbers in the cell that is tagged `parameters`.
SMALL = {
    'first_upscale': dict(WEIGHTS='{weights}', SIZE=16),
    'film': dict(WEIGHTS='{weights}', SIZE=16, FRAMES=3),
    'switched_vqvae': dict(STEPS=2, SWITCHED_STEPS=2, CHANNELS=8, CROP=16, BATCH=2, BREADTH=2),
    'finetune_esrgan': dict(
        WEIGHTS='{weights}', STEPS=2, CROP=32, EFFECTIVE_BATCH=2, DISCRIMINATOR_FEATURES=2
    ),
    'seeing': dict(STEPS=2, MORE=1, BATCH=2, CROP=16, FEATURES=2, CROPS=2),
    'switched_conv_in_flax': dict(STEPS=3, SIDE=16, FEATURES=4, BREADTH=2),
    'srflow_samples': dict(
        ENCODER_STEPS=2,
        FLOW_STEPS=2,
        FEATURES=4,
        FLOW_STEPS_A_LEVEL=2,
        HIDDEN=4,
        CROP=16,
        BATCH=2,
    ),
}

# docs/switched_convolutions.md, docs/srflow.md, docs/esrgan.md and docs/seeing.md train the same,
# docs/extending.md from a file of others' weights; tests/layers has the layer in modules.
LONG = ('switched_vqvae', 'srflow_samples', 'finetune_esrgan', 'seeing', 'switched_conv_in_flax')


@pytest.fixture
def weights(tmp_path):
    """A tiny RRDBNet in the place of published weights."""
    path = tmp_path / 'rrdb.safetensors'
    networks.save(path, network('rrdb'))
    return path


def parameters(notebook):
    """The cell of the numbers to change."""
    (cell,) = [c for c in notebook.cells if 'parameters' in c.metadata.get('tags', ())]
    return cell


def test_there_are_seven_and_each_has_small_numbers():
    assert [path.stem for path in NOTEBOOKS] == sorted(SMALL)
    for path in NOTEBOOKS:
        names = set(re.findall(r'^(\w+) = ', parameters(nbformat.read(path, 4)).source, re.M))
        assert SMALL[path.stem].keys() <= names


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_it_opens_with_an_installation_that_keeps_jax_and_has_no_outputs(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    codes = [cell for cell in notebook.cells if cell.cell_type == 'code']
    assert "find_spec('sr_jax') is None" in codes[0].source
    assert "('jax', 'jaxlib')" in codes[0].source and '--constraint' in codes[0].source
    assert codes[1] is parameters(notebook)
    assert not any(cell.outputs or cell.execution_count for cell in codes)


@pytest.mark.parametrize(
    'path',
    [
        pytest.param(path, marks=pytest.mark.slow if path.stem in LONG else (), id=path.stem)
        for path in NOTEBOOKS
    ],
)
def test_it_runs(path, weights, tmp_path):
    if path.stem == 'film':
        pytest.importorskip('av')
    notebook = nbformat.read(path, 4)
    small = {
        key: value.format(weights=weights) if isinstance(value, str) else value
        for key, value in SMALL[path.stem].items()
    }
    at = notebook.cells.index(parameters(notebook)) + 1
    lines = '\n'.join(f'{key} = {value!r}' for key, value in small.items())
    notebook.cells.insert(at, new_code_cell(lines))
    given, result = tmp_path / 'given.ipynb', tmp_path / 'result.ipynb'
    nbformat.write(notebook, given)
    done = subprocess.run(
        [sys.executable, ROOT / 'tests' / 'execute_notebook.py', given, tmp_path, result],
        # One device, as a notebook has, and quick compilation.
        env={
            **os.environ,
            'JAX_PLATFORMS': 'cpu',
            'XLA_FLAGS': os.environ['XLA_FLAGS'].replace('device_count=8', 'device_count=1'),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    notebook = nbformat.read(result, 4)
    outputs = [o for cell in notebook.cells if cell.cell_type == 'code' for o in cell.outputs]
    assert [o for o in outputs if 'image/png' in o.get('data', {})]
    if folder := os.environ.get('SR_JAX_KEEP_NOTEBOOKS'):  # to look at what they draw
        shutil.copy(result, pathlib.Path(folder) / path.name)
