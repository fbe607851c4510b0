"""Steps and stacks of them: inverses, determinants, and the three ways to a gradient."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_program import apply, init

from sr_jax.errors import InputError
from sr_jax.layers.borders import apply_within
from sr_jax.layers.convolution import convolve
from sr_jax.layers.flow import mixing
from sr_jax.layers.flow.coupling import ConditionalCoupling
from sr_jax.layers.flow.mixing import InvertibleConvolution
from sr_jax.layers.flow.split import Split
from sr_jax.layers.flow.steps import MEMORY, FlowStep, FlowSteps
from sr_jax.layers.random_draws import draw_in_loops

CHANNELS = 4


def shake(variables, seed=0, by=0.1):
    """Parameters away from where they begin, so that nothing is zero by design."""
    leaves, tree = jax.tree.flatten(variables)
    rng = np.random.default_rng(seed)
    return tree.unflatten([p + by * rng.standard_normal(p.shape, np.float32) for p in leaves])


def noise(*shape, seed=1):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))


def maps_for(n, h, w):
    return [noise(n, h, w, 7, seed=2), noise(n, h // 2, w // 2, 1, seed=3)]


@pytest.fixture(scope='module')
def stack():
    module = FlowSteps(3, FlowStep(CHANNELS, hidden=5))
    z, maps = noise(2, 6, 10, CHANNELS), maps_for(2, 6, 10)
    return module, shake(jax.jit(draw_in_loops(module.init))(jax.random.key(0), z, maps)), z, maps


def test_a_stack_is_its_steps_one_after_the_other(stack):
    module, variables, z, maps = stack
    out, gained, finite = jax.jit(module.apply)(variables, z, maps)
    total, step = jnp.zeros(len(z)), jax.jit(module.step.apply)
    for i in range(module.count):
        own = jax.tree.map(lambda p, i=i: p[i], variables['params']['steps'])
        z, of_step = step({'params': own}, z, maps)
        total += of_step
    np.testing.assert_allclose(out, z, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gained, total, rtol=1e-5)
    assert finite.shape == (3,) and finite.all()


@pytest.mark.parametrize('parametrization', ['plain', 'emerging'])
def test_the_inverse_goes_back(stack, parametrization):
    module, _, z, maps = stack
    module = module.clone(step=FlowStep(CHANNELS, hidden=5, parametrization=parametrization))
    variables = shake(jax.jit(draw_in_loops(module.init))(jax.random.key(0), z, maps))
    out, _, _ = jax.jit(module.apply)(variables, z, maps)
    back = jax.jit(functools.partial(module.apply, method='inverse'))(variables, out, maps)
    np.testing.assert_allclose(back, z, atol=1e-5)


def test_a_stack_begins_with_the_data_as_its_steps_do(stack):
    module, _, z, maps = stack
    fresh = jax.jit(draw_in_loops(module.init))(jax.random.key(5), z, maps)
    z = 3 * z + 2
    (out, _, _), begun = jax.jit(lambda v: module.apply(v, z, maps, mutable=['params']))(fresh)
    step = jax.jit(functools.partial(module.step.apply, mutable=['params']))
    for i in range(module.count):
        own = {'params': jax.tree.map(lambda p, i=i: p[i], fresh['params']['steps'])}
        (z, _), mutated = step(own, z, maps)
        ours = jax.tree.map(lambda p, i=i: p[i], begun['params']['steps'])
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
            ours,
            mutated['params'],
        )
    np.testing.assert_allclose(out, z, rtol=1e-4, atol=1e-5)
    # The network's last layers are zero, so both scales are sigmoid(2) in what is left of a
    # normalised z, of which the second half is scaled twice.
    scale = 1 / (1 + np.exp(-2)) + 1e-4
    np.testing.assert_allclose(out[..., :2].std(), scale, rtol=0.1)


def gradients(module, variables, z, maps):
    def loss(variables, z, maps):
        out, gained, _ = module.apply(variables, z, maps)
        return jnp.sum(jnp.sin(out)) + gained.sum()

    return jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(variables, z, maps)


@pytest.mark.parametrize(
    ('memory', 'parametrization'),
    [
        ('remat', 'plain'),
        ('reversible', 'plu'),
        pytest.param('reversible', 'emerging', marks=pytest.mark.slow),
        pytest.param('reversible', 'plain', marks=pytest.mark.slow),
        pytest.param('remat', 'plu', marks=pytest.mark.slow),
        pytest.param('remat', 'emerging', marks=pytest.mark.slow),
    ],
)
def test_all_memories_give_the_same_gradients(stack, memory, parametrization):
    module, _, z, maps = stack
    module = module.clone(step=FlowStep(CHANNELS, hidden=5, parametrization=parametrization))
    variables = shake(jax.jit(draw_in_loops(module.init))(jax.random.key(0), z, maps))
    expected = gradients(module, variables, z, maps)
    found = gradients(module.clone(memory=memory), variables, z, maps)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())


@pytest.mark.slow
def test_reversible_activations_do_not_grow_with_depth():
    z, maps = noise(1, 32, 32, CHANNELS), maps_for(1, 32, 32)

    def temporary(memory, count):
        module = FlowSteps(count, FlowStep(CHANNELS, hidden=8), memory)
        shapes = jax.eval_shape(module.init, jax.random.key(0), z, maps)

        def loss(variables):
            out, gained, _ = module.apply(variables, z, maps)
            return out.sum() + gained.sum()

        compiled = jax.jit(jax.grad(loss)).lower(shapes).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    grown = {m: temporary(m, 12) - temporary(m, 4) for m in MEMORY}
    of_z = 8 * z.size * 4  # eight more z are kept by 'remat'
    assert grown['keep'] > 4 * of_z
    assert of_z <= grown['remat'] < 1.5 * of_z
    assert grown['reversible'] < 0.3 * of_z  # the parameters' own gradients grow


def test_an_unknown_memory_is_named(stack):
    module, variables, z, maps = stack
    with pytest.raises(InputError, match="memory='reversibel'.*'reversible'"):
        module.clone(memory='reversibel').apply(variables, z, maps)


def jacobian(function, x):
    """log|det| of the Jacobian of a function of one image, in float64."""
    matrix = jax.jit(jax.jacrev(function))(x).reshape(x.size, x.size)
    return np.linalg.slogdet(np.asarray(matrix, np.float64))[1]


@pytest.mark.parametrize('parametrization', mixing.PARAMETRIZATIONS)
@pytest.mark.parametrize('middle', [1, 3])
def test_the_log_determinant_is_that_of_the_jacobian(parametrization, middle):
    step = FlowStep(CHANNELS, hidden=3, parametrization=parametrization, middle=middle)
    z, maps = noise(1, 2, 4, CHANNELS), maps_for(1, 2, 4)
    variables = shake(jax.jit(draw_in_loops(step.init))(jax.random.key(0), z, maps), by=0.3)
    _, gained = jax.jit(step.apply)(variables, z, maps)
    expected = jacobian(lambda z: step.apply(variables, z, maps)[0], z)
    np.testing.assert_allclose(gained[0], expected, rtol=1e-4, atol=1e-4)


def test_the_log_determinant_of_a_split_is_that_of_the_jacobian():
    module, z = Split(CHANNELS), noise(1, 3, 5, CHANNELS)
    variables = shake(init(module, jax.random.key(0), z))
    first, latents, gained = apply(module, variables, z)
    of_latents = -0.5 * (np.square(latents).sum() + latents.size * np.log(2 * np.pi))

    def function(z):
        first, latents, _ = module.apply(variables, z)
        return jnp.concatenate([first, latents], axis=-1)

    np.testing.assert_allclose(gained[0] - of_latents, jacobian(function, z), rtol=1e-4, atol=1e-4)
    back = apply(module, variables, first, latents, method='inverse')
    np.testing.assert_allclose(back, z, atol=1e-6)


@settings(max_examples=8)
@given(st.sampled_from([1, 2, 7, 24]), st.sampled_from(mixing.PARAMETRIZATIONS), st.integers(0, 99))
def test_matrices_their_determinants_and_inverses(channels, parametrization, seed):
    module = InvertibleConvolution(channels, parametrization)
    x = noise(1, 2, 3, channels)
    params = jax.jit(draw_in_loops(module.init))(jax.random.key(seed), x)['params']
    params = shake(params, seed, by=0.05)
    several = jax.tree.map(lambda p: np.stack([p, 0.5 * p]), params)
    weight, log_determinant = jax.jit(mixing.matrix)(several)
    expected = np.linalg.slogdet(np.asarray(weight, np.float64))[1]
    np.testing.assert_allclose(log_determinant, expected, rtol=1e-4, atol=1e-4)
    exact = np.linalg.inv(np.asarray(weight, np.float64))
    inverse = jax.jit(mixing.inverse_matrix)(several)
    condition = np.linalg.cond(np.asarray(weight, np.float64)).max()
    np.testing.assert_allclose(inverse, exact, atol=1e-6 * condition * np.abs(exact).max())


def test_rotations_begin_with_a_determinant_of_one():
    module = InvertibleConvolution(24)
    weight = init(module, jax.random.key(3), noise(1, 1, 1, 24))['params']['weight']
    np.testing.assert_allclose(weight @ weight.T, np.eye(24), atol=1e-5)


@settings(max_examples=6)
@given(st.integers(1, 5), st.integers(1, 5), st.floats(0.01, 1.0))
def test_triangular_convolutions_are_solved_exactly(height, width, size):
    kernel = size * noise(3, 3, 2, 2) * mixing.SEEN_BEFORE[:, :, None, None]
    x = noise(1, height, width, 2)
    matrix = jax.jit(jax.jacobian(lambda x: convolve(x, kernel)))(x).reshape(x.size, x.size)
    matrix = np.asarray(matrix, np.float64)
    assert not np.triu(matrix).any()
    y = x + jax.jit(convolve)(x, kernel)
    exact = np.linalg.solve(np.eye(x.size) + matrix, np.ravel(y))
    error = 2e-6 * max(np.abs(exact).max(), 1) * np.linalg.cond(np.eye(x.size) + matrix)
    found = np.ravel(jax.jit(mixing.solve_triangular)(y, kernel))
    np.testing.assert_allclose(found, exact, atol=error)


def test_the_inverse_of_an_emerging_convolution_stays_small_on_large_images():
    module, y = InvertibleConvolution(3, 'emerging'), noise(1, 80, 96, 3)
    variables = shake(init(module, jax.random.key(0), y), by=1.0)  # without a bound it explodes
    for kernel in ('before', 'after'):
        size = np.abs(jax.jit(mixing.bound_norm)(variables['params'][kernel])).sum((0, 1))
        assert size.sum(0).max() * size.sum(1).max() <= 1.001 * mixing.MAX_NORM**2
    x = apply(module, variables, y, method='inverse')
    weight = np.linalg.norm(np.linalg.inv(variables['params']['weight']), 2)
    assert np.linalg.norm(x) <= weight / (1 - mixing.MAX_NORM) ** 2 * np.linalg.norm(y)
    np.testing.assert_allclose(apply(module, variables, x)[0], y, atol=1e-4)


def test_an_emerging_convolution_ends_where_the_image_does():
    module, x = InvertibleConvolution(2, 'emerging'), noise(1, 6, 7, 2)
    variables = shake(init(module, jax.random.key(0), x))
    alone = apply(module, variables, x[:, :4, :3], method='inverse')
    valid = jnp.array([[4, 3]])
    within = jax.jit(
        lambda variables, x, valid: apply_within(module, variables, x, valid, method='inverse')
    )(variables, x, valid)
    np.testing.assert_allclose(within[:, :4, :3], alone, atol=1e-5)
    assert np.abs(apply(module, variables, x, method='inverse')[:, :4, :3] - alone).max() > 1e-3


def test_an_unknown_mixing_is_named():
    with pytest.raises(InputError, match="mixing='lu'.*'plu'"):
        InvertibleConvolution(4, 'lu').init(jax.random.key(0), noise(1, 1, 1, 4))


def test_a_least_scale_bounds_how_much_the_inverse_magnifies():
    maps, z = maps_for(1, 6, 10), noise(1, 6, 10, CHANNELS)

    def magnify(min_scale):
        module = ConditionalCoupling(CHANNELS, hidden=5, min_scale=min_scale)
        # By small parameters: what large ones give is too badly conditioned for float32.
        variables = shake(jax.jit(draw_in_loops(module.init))(jax.random.key(0), z, maps), by=0.4)
        inverse = jax.jit(functools.partial(module.apply, method='inverse'))
        one, other = (inverse(variables, x, maps) for x in (z, 1.001 * z))
        back, _ = jax.jit(module.apply)(variables, one, maps)
        np.testing.assert_allclose(back, z, atol=1e-3)
        # The first half of the channels is divided by one scale only, and shifts cancel.
        half = CHANNELS // 2
        return np.abs((other - one)[..., :half] / (0.001 * z[..., :half])).max()

    assert magnify(0.5) <= 1 / 0.5 * 1.01
    assert magnify(1e-4) > 10


def test_no_batch_of_matrices_waits_for_threads_that_wait(stack):
    # See `mixing._of_each`: on CPUs LAPACK is given one matrix at a time.
    module, variables, z, maps = stack

    def train(variables):
        out, gained, _ = module.apply(variables, z, maps)
        return gained.sum() + module.apply(variables, out, maps, method='inverse').sum()

    programs = [
        jax.jit(module.init).lower(jax.random.key(0), z, maps),
        jax.jit(jax.grad(train)).lower(variables),
    ]
    for program in programs:
        lines = program.compile().as_text().splitlines()
        calls = [line for line in lines if 'custom_call_target="lapack_' in line]
        assert calls
        for shape in re.findall(r'f32\[([\d,]+)\]', '\n'.join(calls)):
            *stacked, _, _ = map(int, f'1,{shape}'.split(','))
            assert np.prod(stacked) == 1, shape
