"""Maps of codes drawn from a prior: one compiled loop over each row, nothing computed twice.

What a code before has made of the network's features is kept (`sr_jax.models.protocols.CodePrior`),
so that a code costs one place of the map and not all of them. Each map has a random key of its own,
so that it does not depend on which others are drawn beside it.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from sr_jax.errors import InputError
from sr_jax.layers.weight_norm import fold


class Options(NamedTuple):
    """How codes are drawn.

    Attributes:
      temperature: that logits are divided by; 0 takes the likeliest code.
      top_k: only so many of the likeliest codes are drawn from; 0: from all.
      top_p: only the likeliest codes that make up this probability together; 1: all (nucleus
        sampling, Holtzman et al. 2019, arXiv:1904.09751).
      guidance: 1: the logits of the class; above, further away from those of no class
        (classifier-free guidance, Ho and Salimans 2022, arXiv:2207.12598).
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    guidance: float = 1.0

    def check(self) -> None:
        """Raises InputError for a number that cannot be meant."""
        for name, good in {
            'temperature': 0 <= self.temperature < math.inf,
            'top_k': self.top_k >= 0,
            'top_p': 0 < self.top_p <= 1,
            'guidance': 0 <= self.guidance < math.inf,
        }.items():
            if not good:
                flag, value = name.replace('_', '-'), getattr(self, name)
                valid = 'above 0 and at most 1' if name == 'top_p' else 'a number from 0 up'
                raise InputError(f'--{flag} {value:g}: it must be {valid}')


class Given(NamedTuple):
    """Codes that are not drawn.

    Attributes:
      codes: maps of codes, of which those that are known count.
      known: which places are.
    """

    codes: Int[np.ndarray, 'n h w']
    known: Bool[np.ndarray, 'h w']


def restrict(logits: Float[Array, 'n codes'], options: Options) -> Float[Array, 'n codes']:
    """Returns logits at the temperature, minus infinity for codes that are not drawn."""
    if options.temperature:
        logits = logits / options.temperature
    if 0 < options.top_k < logits.shape[-1]:
        least = lax.top_k(logits, options.top_k)[0][:, -1:]
        logits = jnp.where(logits < least, -jnp.inf, logits)
    if options.top_p < 1:
        ordered = -jnp.sort(-logits, axis=-1)
        shares = jax.nn.softmax(ordered)
        before = jnp.cumsum(shares, axis=-1) - shares  # of likelier codes: the first is always in
        least = jnp.min(jnp.where(before < options.top_p, ordered, jnp.inf), axis=-1, keepdims=True)
        logits = jnp.where(logits < least, -jnp.inf, logits)
    return logits


def choose(
    logits: Float[Array, 'n codes'], keys: Array, options: Options
) -> Int[Array, ' n']:
    """Draws a code for each map by its own key."""
    logits = restrict(logits, options)
    if not options.temperature:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    return jax.vmap(jax.random.categorical)(keys, logits).astype(jnp.int32)


class Drawer:
    """Draws maps of codes from a prior; compiled once for each number of maps.

    Args:
      prior: a `CodePrior`.
      variables: what it has learned.
      options: how codes are drawn.
    """

    def __init__(self, prior: Any, variables: Mapping[str, Any], options: Options):
        self._prior, self._variables, self._options = prior, variables, options
        self._folded: dict[str, Any] | None = None
        self._start = jax.jit(self._make_start)
        self._draw_row = jax.jit(self._make_row)

    def __call__(
        self,
        keys: Array,
        condition: Int[np.ndarray, 'n h2 w2'] | None = None,
        label: Int[np.ndarray, ' n'] | None = None,
        given: Given | None = None,
        report: Callable[[int], Any] = lambda codes: None,
    ) -> Int[np.ndarray, 'n h w']:
        """Draws a map for each key.

        Args:
          keys: random keys [n].
          condition: the codes above.
          label: their classes; None: of no class.
          given: codes that are not drawn.
          report: is told after each row how many codes of a map it has added.
        """
        prior, count = self._prior, len(keys)
        if given is None:
            shape = (prior.height, prior.width)
            given = Given(np.zeros((count, *shape), np.int32), np.zeros(shape, bool))
        if self._folded is None:
            maps = jnp.zeros(prior.example(1).shape, jnp.int32)
            above = None if condition is None else jnp.asarray(condition[:1])
            self._folded = fold(prior, self._variables, maps, above)
        fixed, cache = self._start(self._folded, keys, condition, label)
        codes = jnp.asarray(given.codes)
        for row in range(prior.height):
            cache, codes = self._draw_row(
                self._folded, fixed, cache, codes, np.int32(row), keys, given
            )
            codes.block_until_ready()  # so that what is reported is done
            report(prior.width)
        return np.asarray(codes)

    def _double(self, x: Array | None, other: Array | None = None) -> Array | None:
        """Returns rows twice, for the class and for none, where both are needed."""
        if x is None or self._options.guidance == 1:
            return x
        return jnp.concatenate([x, x if other is None else other])

    def _make_start(
        self, variables: Any, keys: Array, condition: Array | None, label: Array | None
    ) -> tuple[Any, Any]:
        none = None if label is None else jnp.full_like(label, self._prior.classes)
        label, condition = self._double(label, none), self._double(condition)
        count = len(keys) * (2 if self._options.guidance != 1 else 1)
        apply = functools.partial(self._prior.apply, variables)
        fixed = apply(count, condition, label, method='start')
        return fixed, apply(count, method='start_cache')

    def _make_row(
        self,
        variables: Any,
        fixed: Any,
        cache: Any,
        codes: Array,
        row: Array,
        keys: Array,
        given: Given,
    ) -> tuple[Any, Array]:
        apply = functools.partial(self._prior.apply, variables)
        width, guidance = self._prior.width, self._options.guidance
        cache = apply(fixed, cache, self._double(codes), row, method='start_row')

        def draw(column: Array, carry: tuple[Any, Array]) -> tuple[Any, Array]:
            cache, codes = carry
            logits, cache = apply(fixed, cache, self._double(codes), row, column, method='step')
            if guidance != 1:
                told, untold = jnp.split(logits, 2)
                logits = untold + guidance * (told - untold)
            own = jax.vmap(jax.random.fold_in, (0, None))(keys, row * width + column)
            drawn = choose(logits, own, self._options)
            code = jnp.where(given.known[row, column], given.codes[:, row, column], drawn)
            return cache, codes.at[:, row, column].set(code)

        return lax.fori_loop(0, width, draw, (cache, codes))


def make_keys(seed: int, indices: Int[np.ndarray, ' n'], level: int) -> Array:
    """Returns the random keys of samples by their numbers; a level of codes has keys of its own."""
    key = jax.random.fold_in(jax.random.key(seed), level)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(indices, jnp.uint32))
