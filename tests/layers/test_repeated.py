import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.layers.repeated import (
    Repetition,
    apply_repeated,
    count_rounds,
    count_stacked,
    initial_shapes,
    repeating,
    stack_loops,
    unstack_loops,
)
from sr_jax.layers.switching import Switching
from sr_jax.models.rrdb import RRDBNet

WRITTEN_OUT, LOOP, SHAPES = Repetition
calls = []


class Block(nn.Module):
    """A dense layer, whose calls are counted while they are traced."""

    @nn.compact
    def __call__(self, x):
        calls.append(self.name)
        self.sow('intermediates', 'made', x)
        return jnp.tanh(nn.Dense(x.shape[-1])(x))


class Chain(nn.Module):
    """So many blocks."""

    count: int = 4
    alike: bool = True
    as_loop: bool = False

    @nn.compact
    def __call__(self, x):
        names = [f'block_{i}' for i in range(self.count)]
        how = {'alike': self.alike, 'as_loop': self.as_loop}
        return apply_repeated(self, Block, names, x, wanted=(1,), **how)


@pytest.fixture(scope='module')
def trained():
    x = jax.random.normal(jax.random.key(0), (2, 3))
    return x, {'params': Chain().init(jax.random.key(1), x)['params']}


def test_blocks_stacked_before_are_those_that_a_program_stacks(trained):
    x, variables = trained
    names = [f'block_{i}' for i in range(4)]
    deep = {'one': {'two': variables['params']}, 'other': 5}
    loops = {('one', 'two'): names}
    together = stack_loops(deep, loops)
    assert together['other'] == 5 and len(jax.tree.leaves(together['one'])) == 2
    with repeating(LOOP):
        expected, _ = Chain().apply(variables, x)
        found, _ = Chain().apply({'params': together['one']['two']}, x)
    np.testing.assert_array_equal(found, expected)
    jax.tree.map(np.testing.assert_array_equal, unstack_loops(together, loops), deep)
    alone = {('one', 'two'): names[:1]}
    assert stack_loops(deep, alone) == deep and unstack_loops(deep, alone) == deep


def test_stacked_blocks_are_a_loop_whatever_is_asked(trained):
    x, variables = trained
    together = {'params': stack_loops(variables['params'], {(): [f'block_{i}' for i in range(4)]})}
    assert count_calls(WRITTEN_OUT, lambda: Chain().apply(together, x)) == 1
    collect = functools.partial(Chain().apply, together, x, mutable=['intermediates'])
    assert count_calls(WRITTEN_OUT, collect) == 1


def test_loops_in_loops_are_stacked_and_come_back():
    model = RRDBNet(features=5, growth=4, num_blocks=2)
    init = jax.jit(draw_in_loops(model.init))
    params = init(jax.random.key(0), jnp.zeros((1, 7, 6, 3)))['params']
    together = stack_loops(params, model.loops)
    path, kernel = jax.tree.leaves_with_path(together)[1]
    assert count_stacked(path) == 2 and kernel.shape == (2, 3, 3, 3, 5, 4)
    back = unstack_loops(together, model.loops)
    assert jax.tree.structure(back) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, back, params)


def count_calls(how, function):
    """How often a block is traced."""
    calls.clear()
    with repeating(how):
        jax.eval_shape(lambda: function())  # JAX remembers what it traced, by the function
    return len(calls)


def test_a_block_of_a_loop_is_traced_once_and_the_results_are_the_same(trained):
    x, variables = trained
    last, (second,) = Chain().apply(variables, x)
    with repeating(LOOP):
        same, (same_second,) = Chain().apply(variables, x)
    np.testing.assert_allclose(same, last, atol=1e-6)
    np.testing.assert_allclose(same_second, second, atol=1e-6)
    assert count_calls(LOOP, lambda: Chain().apply(variables, x)) == 1
    assert count_calls(WRITTEN_OUT, lambda: Chain().apply(variables, x)) == 4


def test_they_are_a_loop_where_that_is_asked_for_of_them_alone(trained):
    x, variables = trained
    asked = Chain(as_loop=True)
    made = (jax.tree.leaves(chain.apply(variables, x)) for chain in (asked, Chain()))
    for one, other in zip(*made, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert count_calls(WRITTEN_OUT, lambda: asked.apply(variables, x)) == 1
    assert count_calls(WRITTEN_OUT, lambda: asked.clone(alike=False).apply(variables, x)) == 4
    assert count_calls(WRITTEN_OUT, lambda: asked.init(jax.random.key(0), x)) == 4
    assert count_calls(SHAPES, lambda: asked.apply(variables, x)) == 4


def test_others_are_written_out(trained):
    x, variables = trained
    assert count_calls(LOOP, lambda: Chain(alike=False).apply(variables, x)) == 4
    collect = functools.partial(Chain().apply, variables, x, mutable=['intermediates'])
    assert count_calls(LOOP, collect) == 4
    init = functools.partial(Chain().init, jax.random.key(0), x)
    assert count_calls(LOOP, init) == 4
    assert count_calls(SHAPES, init) == 1
    init = functools.partial(Chain(alike=False).init, jax.random.key(0), x)
    assert count_calls(SHAPES, init) == 4


@pytest.mark.parametrize('switched', [False, True])
def test_the_shapes_of_an_rrdb_net_are_those_of_its_init(switched):
    layers = ('block_1/rdb_0/conv_1',) if switched else ()
    model = RRDBNet(features=5, growth=3, num_blocks=3, switching=Switching(layers, breadth=2))
    init = functools.partial(model.init, jax.random.key(0), jnp.zeros((1, 12, 10, 3)))
    assert initial_shapes(init) == jax.eval_shape(init)


def test_an_rrdb_net_as_a_loop_is_a_program_of_one_dense_block():
    model = RRDBNet(features=5, growth=3, num_blocks=4, patch=6)
    x = jax.random.uniform(jax.random.key(1), (2, 7, 9, 3))
    variables = jax.jit(draw_in_loops(model.init))(jax.random.key(0), x)

    def run(how):
        def apply(variables, x):
            with repeating(how):
                return model.apply(variables, x, (1, 3), method='with_features')

        lowered = jax.jit(apply).lower(variables, x)
        return lowered.compile()(variables, x), lowered.as_text().count('stablehlo.convolution')

    expected, written_out = run(WRITTEN_OUT)
    found, in_loop = run(LOOP)
    beside = 2 + 4  # the first and the body's last one, and the head's
    assert written_out - beside == 4 * 3 * (in_loop - beside)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, expected)


def test_the_rounds_of_loops_in_loops_are_counted():
    counts = []

    class Counting(nn.Module):
        inner: int = 0

        @nn.compact
        def __call__(self, x):
            counts.append(count_rounds())
            if not self.inner:
                return nn.Dense(3)(x)
            names = [f'part_{i}' for i in range(self.inner)]
            return apply_repeated(self, Counting, names, x)[0]

    class Outer(nn.Module):
        @nn.compact
        def __call__(self, x):
            make = functools.partial(Counting, 5)
            return apply_repeated(self, make, ['a', 'b'], x)[0]

    x = jnp.ones((2, 3))
    variables = Outer().init(jax.random.key(0), x)
    counts.clear()
    with repeating(LOOP):
        jax.eval_shape(functools.partial(Outer().apply, variables), x)
    assert counts == [2, 10] and count_rounds() == 1


def test_nothing_stays_chosen_after_an_error(trained):
    x, variables = trained
    with pytest.raises(ZeroDivisionError), repeating(LOOP):
        raise ZeroDivisionError
    calls.clear()
    Chain().apply(variables, x)
    assert len(calls) == 4
