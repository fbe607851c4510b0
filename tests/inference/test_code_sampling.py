"""Drawing codes: what is drawn from, what stays, and that samples do not depend on their batch."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import given
from hypothesis import strategies as st

from sr_jax.errors import InputError
from sr_jax.inference.code_sampling import Drawer, Given, Options, make_keys, restrict
from sr_jax.models.protocols import CodePrior, code_batch

CODES, HEIGHT, WIDTH = 6, 3, 4


class Chain(nn.Module):
    """A prior of one table: each code depends on the one before it, and on the class."""

    REPEATED: ClassVar = ()

    codes: int = CODES
    height: int = HEIGHT
    width: int = WIDTH
    classes: int = 2
    conditioned: bool = False
    condition_codes: int = 0

    def setup(self):
        self.table = self.param('table', nn.initializers.normal(2.0), (CODES + 1, CODES))
        self.label = self.param('label', nn.initializers.normal(2.0), (self.classes + 1, CODES))

    def example(self, n):
        return code_batch(n, self.height, self.width)

    def __call__(self, codes, condition=None, label=None, train=False):
        flat = codes.reshape(len(codes), -1)
        before = jnp.pad(flat[:, :-1], ((0, 0), (1, 0)), constant_values=CODES)
        added = self.start(len(codes), None, label)[:, None]
        return (self.table[before] + added).reshape(*codes.shape, -1)

    def start(self, n, condition=None, label=None):
        label = jnp.full(n, self.classes) if label is None else label
        return self.label[label]

    def start_cache(self, n):
        return jnp.zeros(n, jnp.int32)  # rows begun

    def start_row(self, fixed, cache, codes, row):
        return cache + 1

    def step(self, fixed, cache, codes, row, column):
        place = row * self.width + column
        before = jnp.where(place > 0, codes.reshape(len(codes), -1)[:, place - 1], CODES)
        return self.table[before] + fixed, cache


CHAIN = Chain()
VARIABLES = {
    'params': {
        'table': np.random.default_rng(0).normal(0, 2, (CODES + 1, CODES)).astype(np.float32),
        'label': np.random.default_rng(1).normal(0, 2, (3, CODES)).astype(np.float32),
    }
}


def draw(indices, options=Options(), seed=0, label=None, fixed=None):  # noqa: B008
    keys = make_keys(seed, np.asarray(indices), 0)
    label = None if label is None else np.full(len(indices), label, np.int32)
    return Drawer(CHAIN, VARIABLES, options)(keys, None, label, fixed)


def test_samples_do_not_depend_on_those_drawn_with_them():
    assert isinstance(CHAIN, CodePrior)
    whole = draw(range(5))
    parts = np.concatenate([draw([0, 1]), draw([4, 3, 2])[::-1]])
    np.testing.assert_array_equal(whole, parts)
    assert len({codes.tobytes() for codes in whole}) == 5
    assert not np.array_equal(whole, draw(range(5), seed=1))


def test_frequencies_are_those_of_the_logits():
    drawn = draw(range(600), label=1)
    first = np.bincount(drawn[:, 0, 0], minlength=CODES) / 600
    expected = jax.nn.softmax(VARIABLES['params']['table'][CODES] + VARIABLES['params']['label'][1])
    np.testing.assert_allclose(first, expected, atol=0.06)


def test_what_is_known_stays_and_the_rest_follows_it():
    known = np.zeros((HEIGHT, WIDTH), bool)
    known[:2, 1:] = True
    codes = np.random.default_rng(0).integers(CODES, size=(3, HEIGHT, WIDTH)).astype(np.int32)
    greedy = draw(range(3), Options(temperature=0.0), fixed=Given(codes, known))
    np.testing.assert_array_equal(greedy[:, known], codes[:, known])
    likeliest = np.asarray(CHAIN.apply(VARIABLES, greedy)).argmax(axis=-1)
    np.testing.assert_array_equal(greedy[:, ~known], likeliest[:, ~known])


def test_guidance_goes_away_from_no_class():
    params = VARIABLES['params']
    told, untold = params['table'][CODES] + params['label'][0], params['table'][CODES]
    untold = untold + params['label'][2]
    greedy = draw([0], Options(temperature=0.0, guidance=3.0), label=0)[0, 0, 0]
    assert greedy == np.argmax(untold + 3 * (told - untold))
    assert draw([0], Options(temperature=0.0), label=0)[0, 0, 0] == np.argmax(told)


@given(st.integers(0, 2**16), st.integers(1, CODES - 1), st.floats(0.01, 0.99))
def test_only_the_likeliest_are_drawn_from(seed, top_k, top_p):
    logits = np.random.default_rng(seed).normal(0, 2, (3, CODES)).astype(np.float32)
    order = np.argsort(-logits, axis=-1)
    kept = np.isfinite(RESTRICT_K[top_k](logits))
    for row, ranks in zip(kept, order, strict=True):
        assert set(np.flatnonzero(row)) == set(ranks[:top_k])
    kept = np.isfinite(restrict(jnp.asarray(logits), Options(top_p=top_p)))
    shares = np.asarray(jax.nn.softmax(logits))
    for row, ranks, share in zip(kept, order, shares, strict=True):
        count = int(np.searchsorted(np.cumsum(share[ranks]), top_p, side='left')) + 1
        assert abs(row.sum() - count) <= (np.abs(np.cumsum(share[ranks]) - top_p) < 1e-5).any()
        assert set(np.flatnonzero(row)) == set(ranks[: row.sum()])


def _restrict_to(top_k):
    return lambda logits: restrict(jnp.asarray(logits), Options(2.0, top_k))


RESTRICT_K = {top_k: _restrict_to(top_k) for top_k in range(1, CODES)}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (Options(temperature=-1.0), '--temperature -1: it must be a number from 0 up'),
        (Options(top_k=-2), '--top-k -2'),
        (Options(top_p=0.0), '--top-p 0: it must be above 0 and at most 1'),
        (Options(guidance=float('nan')), '--guidance nan'),
    ],
)
def test_numbers_that_cannot_be_meant_are_named(options, message):
    with pytest.raises(InputError, match=message):
        options.check()
