import jax
import jax.numpy as jnp
import numpy as np

from sr_jax.models import inception


def test_every_block_gives_the_channels_of_the_article():
    """Szegedy et al. 2015, table 1: 288, 768 and 2048 at the ends of the three kinds of blocks."""
    widths = {
        block.name: sum(
            sum(layer.features for layer in branch if layer.name[-1] in 'ab')
            or (branch[-1].features if branch else 0)
            for branch in block.branches
        )
        for block in inception.blocks()
    }
    widths['Mixed_6a'] += widths['Mixed_5d']
    widths['Mixed_7a'] += widths['Mixed_6e']
    assert widths == {
        **{'Mixed_5b': 256, 'Mixed_5c': 288, 'Mixed_5d': 288, 'Mixed_6a': 768},
        **{f'Mixed_6{letter}': 768 for letter in 'bcde'},
        **{'Mixed_7a': 1280, 'Mixed_7b': 2048, 'Mixed_7c': 2048},
    }


def test_the_least_side_is_the_least():
    module = inception.Model()
    for side, finite in ((inception.MIN_SIDE, True), (inception.MIN_SIDE - 1, False)):
        x = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
        places = []

        def seen(x, places=places):
            y, _ = module.init_with_output(jax.random.key(0), x)
            return y

        def watch(next_call, args, kwargs, context, places=places):
            y = next_call(*args, **kwargs)
            places.append(y.shape)
            return y

        with inception.nn.intercept_methods(watch):
            jax.eval_shape(seen, x)
        assert (places[-2][1:3] == (1, 1)) == finite


def test_average_pooling_does_not_count_its_border():
    block = inception.Block('x', ((inception.Layer('branch_pool', 1),),), 'average')
    module = inception._Mixed(block)
    x = jnp.asarray(np.random.default_rng(0).random((1, 4, 5, 1), np.float32))
    one, zero = jnp.ones(1), jnp.zeros(1)
    params = {'conv': {'kernel': jnp.ones((1, 1, 1, 1))}, 'bn': {'scale': one, 'bias': zero}}
    variables = {
        'params': {'branch_pool': params},
        'batch_stats': {'branch_pool': {'bn': {'mean': zero, 'var': one - inception.EPSILON}}},
    }
    found = np.asarray(jax.jit(module.apply)(variables, x))[0, ..., 0]
    for i in range(4):
        for j in range(5):
            window = x[0, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            np.testing.assert_allclose(found[i, j], window.mean(), rtol=1e-5)
