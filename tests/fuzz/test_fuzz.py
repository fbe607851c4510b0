"""A short, always equal fuzz of all that reads foreign things; `make fuzz` does more of it."""

import os
import shutil

import hypothesis
import jax
import numpy as np
import pytest
from fuzz import targets
from fuzz.fuzzing import MIB, check
from fuzz.watch import watched
from hypothesis import HealthCheck
from PIL import Image
from tiny_networks import network

from sr_jax import __main__ as verbs
from sr_jax.inference import networks

# Examples of each target in the suite; a target that traces a network has fewer.
EXAMPLES = {
    'image': 150,
    'named_images': 40,
    'arrays': 150,
    'foreign_network': 15,
    'own_network': 15,
    'ncnn_network': 100,
    'lmdb_database': 50,
    'lpips_pickle': 150,
    'torch_checkpoint': 40,
    'overrides': 60,
    'checkpoint_json': 6,
}


@pytest.fixture(scope='module')
def strategies(tmp_path_factory):
    found = targets.strategies(tmp_path_factory.mktemp('seeds'))
    return {target.__name__: (target, strategy) for target, strategy in found.items()}


def test_every_target_is_in_the_suite(strategies):
    assert strategies.keys() == EXAMPLES.keys()


# What Pillow warns about is metadata; the library has it silent.
@pytest.mark.filterwarnings('ignore::UserWarning')
# When Orbax cannot read an array, what it began to read of the others is left to itself.
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
@pytest.mark.parametrize('name', EXAMPLES)
def test_nothing_but_what_is_documented_happens(name, strategies, tmp_path):
    target, strategy = strategies[name]
    test = hypothesis.settings(
        max_examples=EXAMPLES[name], database=None, suppress_health_check=list(HealthCheck)
    )(check(target, strategy, tmp_path))
    before = targets.outcomes.total()
    test()
    assert targets.outcomes.total() - before >= EXAMPLES[name] // 2


# The watch itself


def test_the_watch_sees_memory_files_and_programs(tmp_path):
    inside, outside = tmp_path / 'in', tmp_path / 'out'
    inside.mkdir()
    with watched(inside, 64 * MIB):
        (inside / 'x').write_text('allowed')
    with pytest.raises(AssertionError, match='open'), watched(inside, 64 * MIB):
        outside.write_text('not allowed')
    with pytest.raises(AssertionError, match='os.remove'), watched(inside, 64 * MIB):
        outside.unlink()
    before = jax.config.jax_compilation_cache_dir
    jax.config.update('jax_compilation_cache_dir', str(tmp_path / 'kept'))
    with watched(inside, 64 * MIB):
        (tmp_path / 'kept').mkdir()  # what JAX has compiled is no harm
    jax.config.update('jax_compilation_cache_dir', before)
    for name in ('in', 'out'):
        (tmp_path / name / 'sub' / 'sub').mkdir(parents=True)
    with watched(inside, 64 * MIB):
        shutil.rmtree(inside / 'sub')  # by names within open folders
    with pytest.raises(AssertionError, match="os.rmdir 'sub'"), watched(inside, 64 * MIB):
        shutil.rmtree(outside / 'sub')
    with pytest.raises(AssertionError, match='os.system'), watched(inside, 64 * MIB):
        os.system('true')
    with watched(inside, 512 * MIB):
        np.ones(240 * MIB, np.uint8)
    if os.path.exists('/proc/self/clear_refs'):
        with pytest.raises(AssertionError, match='MiB were taken'), watched(inside, 64 * MIB):
            np.ones(240 * MIB, np.uint8)


# Names and places


def test_no_image_is_written_outside_of_the_output(tmp_path, capsys):
    given, output, elsewhere = (tmp_path / name for name in ('given', 'output', 'elsewhere'))
    for folder in (given, output, elsewhere):
        folder.mkdir()
    names = ['...png', '..x.png', '-rf.png', ' .png', 'a\nb.png', '%2e%2e%2fa.png', 'ä.png']
    for name in names:
        Image.new('RGB', (5, 4)).save(given / name, 'PNG')
    (elsewhere / 'kept').write_text('as it was')
    (output / 'ä.png').symlink_to(elsewhere / 'kept')  # a link in the place of a result
    partial = output / f'.ä.png.{os.getpid()}.partial'
    partial.symlink_to(elsewhere / 'kept')  # and in the place where it is written first
    weights = tmp_path / 'w.safetensors'
    networks.save(weights, network('srvgg'))
    images = [str(given / name) for name in names]
    options = ['--overwrite', '--weights', str(weights), '--output', str(output)]
    with watched(output, 2**40):
        status = verbs.main(['upscale', *options, '--', *images])
    assert status == 0, capsys.readouterr().err
    assert (elsewhere / 'kept').read_text() == 'as it was'
    assert len(list(elsewhere.iterdir())) == 1
    assert len(list(output.iterdir())) == len(names)
    assert not (output / 'ä.png').is_symlink()


def test_an_override_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "__import__('pathlib').Path('run').touch()"
    for key in ('train.steps', 'train.start_from', 'model.switching.layers', 'optimizer'):
        targets.overrides(tmp_path, ['--config=configs/vqvae.py', f'--config.{key}={code}'])
    assert not list(tmp_path.iterdir())
