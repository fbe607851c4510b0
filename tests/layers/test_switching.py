import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from sr_jax.errors import InputError
from sr_jax.layers import switching as switching_lib
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.layers.switching import Switching, check_layers, convert_to_switched
from sr_jax.models.vqvae import VQVAE

SMALL = {
    'channels': 8,
    'num_res_blocks': 1,
    'res_channels': 4,
    'codebook_size': 16,
    'codebook_dim': 4,
    'upsampling': 'nearest',
}
LAYERS = (
    'encoder_bottom/down_1',
    'encoder_top/blocks/0/conv_0',
    'decoder_top/up_0/conv',
    'upsample_top/conv',
    'decoder/conv',
)


@pytest.fixture(scope='module')
def dense():
    x = jax.random.uniform(jax.random.key(1), (2 * 16 * 16 * 3,)).reshape(2, 16, 16, 3)
    variables = jax.jit(draw_in_loops(VQVAE(**SMALL).init))(jax.random.key(0), x)
    return dict(variables), x


# Also 'xla' without a deviation, of two layers, in tests/commands/test_switched_runs.py.
@pytest.mark.parametrize(
    ('implementation', 'deviation'),
    [pytest.param('reference', 0.0, marks=pytest.mark.slow), ('xla', 0.3)],
)
def test_a_converted_network_gives_the_dense_output(dense, implementation, deviation):
    variables, x = dense
    switching = Switching(LAYERS, breadth=4, implementation=implementation, deviation=deviation)
    converted = convert_to_switched(variables, switching, jax.random.key(2))
    model = VQVAE(**SMALL, switching=switching)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    shapes = {k: v for k, v in shapes.items() if k != 'intermediates'}
    assert jax.tree.map(jnp.shape, converted) == jax.tree.map(jnp.shape, shapes)
    expected = jax.jit(VQVAE(**SMALL).apply)(variables, x)
    output, mutated = jax.jit(lambda v: model.apply(v, x, mutable=['intermediates']))(converted)
    np.testing.assert_allclose(output.image, expected.image, rtol=0, atol=2e-6)
    for level in ('top', 'bottom'):
        np.testing.assert_array_equal(output.codes[level], expected.codes[level])
    found = {layer: choice for layer, choice, _ in switching_lib.choices(mutated['intermediates'])}
    assert set(found) == set(LAYERS)
    assert any(len(np.unique(choice)) > 1 for choice in found.values())


def test_conversion_copies_kernels_keeps_the_rest_and_starts_new_selectors(dense):
    variables, _ = dense
    converted = convert_to_switched(variables, Switching(LAYERS, breadth=2), jax.random.key(2))
    before = traverse_util.flatten_dict(variables['params'], sep='/')
    after = traverse_util.flatten_dict(converted['params'], sep='/')
    for name, value in before.items():
        switched = name.removesuffix('/kernel') in LAYERS
        expected = np.broadcast_to(value, (2, *value.shape)) if switched else value
        np.testing.assert_array_equal(after[name], expected)
    new = set(after) - set(before)
    assert all('/selector/' in name for name in new)
    starts = [after[f'{layer}/selector/conv/kernel'] for layer in ('decoder/conv', LAYERS[0])]
    assert not np.array_equal(*starts)
    assert set(converted['switch_norm']['decoder']['conv']['norm']) == {'buffer', 'index', 'filled'}
    assert 'switch_norm' not in variables


@pytest.mark.parametrize(
    ('layer', 'meant'),
    [('decoder/con', 'decoder/conv'), ('decoder/up_0', 'decoder/up_0/conv')],
)
def test_a_layer_that_is_none_is_named_with_the_nearest(dense, layer, meant):
    variables, _ = dense
    with pytest.raises(InputError, match=f'{layer}.*{meant}'):
        convert_to_switched(variables, Switching((layer,)), jax.random.key(0))
    with pytest.raises(InputError, match=f'{layer}.*{meant}'):
        check_layers(variables['params'], Switching((layer,)))


def test_even_kernels_cannot_be_switched():
    params = {
        'down': {'kernel': jnp.zeros((4, 4, 2, 2))},
        'conv': {'kernel': jnp.zeros((3, 3, 2, 2))},
    }
    with pytest.raises(InputError, match="'down' cannot be switched"):
        convert_to_switched({'params': params}, Switching(('down',)), jax.random.key(0))


def test_a_kernel_without_bias_stays_without():
    params = {'conv': {'kernel': jnp.ones((3, 3, 2, 2))}}
    converted = convert_to_switched(
        {'params': params}, Switching(('conv',), breadth=2, network='standard'), jax.random.key(0)
    )
    assert set(converted['params']['conv']) == {'kernel', 'selector'}


def test_statistics_of_microbatches_add_up_to_those_of_the_batch(dense):
    variables, x = dense
    switching = Switching(LAYERS[:2], breadth=4, network='bn_lambda', norm_size=2)
    model = VQVAE(**SMALL, switching=switching)
    converted = convert_to_switched(variables, switching, jax.random.key(2))

    @jax.jit
    def statistics(x):
        _, mutated = model.apply(converted, x, train=True, mutable=list(switching_lib.MUTABLE))
        return switching_lib.collect_statistics(mutated)

    twice = switching_lib.merge(statistics(x), statistics(x))
    whole = statistics(jnp.concatenate([x, x]))
    for (path, a), (_, b) in zip(
        jax.tree.leaves_with_path(twice), jax.tree.leaves_with_path(whole), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4, err_msg=jax.tree_util.keystr(path))
    updated = switching_lib.update(converted, whole)
    shares = switching_lib.shares(updated['switch_norm'])
    assert set(shares) == set(LAYERS[:2])
    for share in shares.values():
        np.testing.assert_allclose(share.sum(), 1, rtol=1e-5)
        assert share.min() > 0


def test_shares_are_zero_before_the_first_row(dense):
    converted = convert_to_switched(dense[0], Switching(LAYERS[:1]), jax.random.key(2))
    (share,) = switching_lib.shares(converted['switch_norm']).values()
    np.testing.assert_array_equal(share, np.zeros(8))
