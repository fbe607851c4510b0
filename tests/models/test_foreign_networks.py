"""The networks that people have: other programs' values and gradients, names, fields and files."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from foreign_networks import draw, draw_cotangent, draw_images, is_moving, probe, read_meta
from parity import error, nhwc, part

from sr_jax import models, tasks
from sr_jax.config.defaults import defaults
from sr_jax.errors import InputError
from sr_jax.models.protocols import Gridded
from sr_jax.pretrained import recognition

FIXTURES = pathlib.Path(__file__).parents[1] / 'fixtures'
NAMES = sorted(path.stem for path in FIXTURES.glob('network_*.npz'))
NETWORKS = sorted({name.split('_')[1] for name in NAMES})
SEEN = {  # networks that do not look at whole images
    'span': dict(scale=2, features=4),
    'realplksr': dict(features=6, num_blocks=1, kernel_size=5, partial=3, norm='layer'),
    'mosr': dict(scale=3, features=6, num_blocks=1, hidden=9, convolved=4, kernel_size=5),
    'drct': dict(scale=2, features=12, num_groups=1, heads=3, window=4, growth=4),
    'srformer': dict(
        features=8, num_groups=1, num_blocks=2, heads=2, window=4, hidden=6, head='nearest'
    ),
}
LIMITS = {'y': 2e-5}  # of gradients 1e-3


def load(golden, name):
    """A fixture, what it says of itself, its weights, and the whole state of a file."""
    arrays = golden(name)
    meta = read_meta(arrays)
    weights = draw(meta['arrays'])
    return arrays, meta, weights, {**weights, **part(arrays, 'constant/')}


@pytest.mark.parametrize('name', NAMES)
def test_values_and_gradients_are_the_originals(golden, name):
    arrays, meta, weights, state = load(golden, name)
    found = recognition.recognize(state, name)
    assert found.model == meta['model']
    module = models.make({**found.model, **meta.get('untold', {})})
    others = {kind: value for kind, value in found.variables.items() if kind != 'params'}

    @jax.jit
    def run(params, x, cotangent):
        y, pull_back = jax.vjp(lambda p, x: module.apply({**others, 'params': p}, x), params, x)
        return y, *pull_back(cotangent)

    x, cotangent = nhwc(draw_images(meta['shape'])), nhwc(draw_cotangent(arrays['out/y'].shape))
    y, gradients, gradient_x = run(found.variables['params'], x, cotangent)
    errors = {'y': error(y, nhwc(arrays['out/y']))}
    errors['x'] = error(gradient_x, nhwc(arrays['grad/in/x']))
    theirs = recognition.readers()[found.model['name']].to_torch({**others, 'params': gradients})
    trained = [key for key in sorted(weights) if not is_moving(key)]
    probes, expected = probe({key: theirs[key] for key in trained}), arrays['grad/probe']
    scale = np.maximum(expected[:, :1], 1e-3 * expected[:, 0].max())
    errors |= dict(zip(trained, np.abs((probes - expected) / scale).max(axis=1), strict=True))
    wrong = {key: value for key, value in errors.items() if not value < LIMITS.get(key, 1e-3)}
    assert not wrong, wrong


@pytest.mark.parametrize('name', NAMES)
def test_files_come_back_bit_for_bit(golden, name):
    _, _, _, state = load(golden, name)
    found = recognition.recognize(state, name)
    module = models.make(found.model)
    back = recognition.foreign_names(found.model['name'], module, found.variables, name)
    assert {key for key in back if '.eval_conv.' not in key} == state.keys()  # made of others
    for key, value in state.items():
        assert back[key].dtype == value.dtype, key
        np.testing.assert_array_equal(back[key], value, err_msg=key)


def test_a_merged_convolution_is_written_as_it_computes(golden):
    arrays, _, _, state = load(golden, 'network_span')
    found = recognition.recognize(state, 'x')
    back = recognition.foreign_names('span', models.make(found.model), found.variables, 'x')
    for name, value in part(arrays, 'derived/').items():
        assert error(back[name], value) < 1e-5
    again = recognition.recognize(back, 'x')
    jax.tree.map(np.testing.assert_array_equal, again.variables, found.variables)


def test_what_files_always_hold_must_be_that(golden):
    _, _, _, state = load(golden, 'network_swinir')
    name = 'layers.1.residual_group.blocks.0.attn.relative_position_index'
    state[name] = state[name][::-1]
    with pytest.raises(InputError, match=rf"x: '{name}' is not what these networks have there"):
        recognition.recognize(state, 'x')


def test_groups_that_differ_are_refused(golden):
    _, _, _, state = load(golden, 'network_swinir')
    kept = {k: v for k, v in state.items() if not k.startswith('layers.1.residual_group.blocks.1')}
    with pytest.raises(InputError, match=r'groups differ in their numbers of blocks \(1, 2\)'):
        recognition.recognize(kept, 'x')


@pytest.mark.parametrize('name', SEEN)
def test_the_halo_is_as_far_as_the_network_looks_and_no_farther(name):
    module = models.make({'name': name, **SEEN[name]})
    grid = module.grid if isinstance(module, Gridded) else 4
    center = (module.halo // grid + 2) * grid
    x = np.zeros((grid, 2 * center + grid, grid, 3), np.float32)
    x[range(grid), range(center, center + grid)] = np.nan
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda s: rng.standard_normal(s.shape).astype(np.float32), shapes)
    seen = np.isnan(jax.jit(module.apply)(params, x)).any(axis=(2, 3))
    reach = 0
    for i in range(grid):
        rows = np.flatnonzero(seen[i]) // module.scale
        reach = max(reach, center + i - rows.min(), rows.max() - center - i)
    assert reach == module.halo


# Their gradients are the originals'.
@pytest.mark.parametrize(
    'name', [pytest.param(n, marks=[pytest.mark.slow] * (n != 'span')) for n in NETWORKS]
)
def test_a_task_trains_it(name):
    config = defaults('regression', model=name)
    config.data.crop_size = 32 * config.model.scale
    for field in models.repeated_fields(name):
        config.model[field] = 2
    config.train.remat = True
    task = tasks.make(config)
    batch = task.batch(2)
    state = jax.eval_shape(task.init, jax.random.key(0), batch)
    after, metrics = jax.eval_shape(task.train_step, state, batch, jax.random.key(1))
    assert jax.tree.map(jnp.shape, after.params) == jax.tree.map(jnp.shape, state.params)
    assert ('batch_stats' in after.variables) == (name == 'dat')
    assert metrics['loss'].shape == ()
