"""Derivatives by finite differences, of networks of ours computed in float64."""

import contextlib
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

STEP = 1e-7


class Constants:
    """What takes no gradient: in the place of `stop_gradient`, it is what it was at the beginning.

    So differences are those of the function that the gradient is of, also where choices and codes
    are passed straight through.
    """

    def __init__(self):
        self.restart(None, False)

    def restart(self, kept: list[Any] | None, use: jax.Array | bool) -> None:
        """Begins a call of the function, with what was `seen` in another one, and may be used."""
        self._kept, self._use = kept, use
        self.seen: list[Any] = []

    def __call__(self, x: Any) -> Any:
        self.seen.append(x)
        if self._kept is None:
            return x
        kept = self._kept[len(self.seen) - 1]
        return jax.tree.map(lambda old, new: jnp.where(self._use, old, new), kept, x)


@contextlib.contextmanager
def in_float64(constants: Constants, *modules: types.ModuleType) -> Iterator[pytest.MonkeyPatch]:
    """Lets modules of ours compute in float64 where their code says float32.

    Args:
      constants: what stands for their `lax.stop_gradient`.
      modules: of the layers.
    """
    wide = types.SimpleNamespace(**{**vars(jnp), 'float32': jnp.float64})
    held = types.SimpleNamespace(**{**vars(lax), 'stop_gradient': constants})

    def widen(method, arguments, keywords, context):
        if getattr(context.module, 'dtype', None) == 'float32':
            object.__setattr__(context.module, 'dtype', 'float64')
        return method(*arguments, **keywords)

    with jax.enable_x64(True), pytest.MonkeyPatch.context() as patch, nn.intercept_methods(widen):
        for module in modules:
            patch.setattr(module, 'jnp', wide)
            if hasattr(module, 'lax'):
                patch.setattr(module, 'lax', held)
        yield patch


def to_float64(tree: Any) -> Any:
    """Returns a tree with its floats in float64."""
    return jax.tree.map(
        lambda x: np.asarray(x, np.float64 if np.issubdtype(x.dtype, np.floating) else None), tree
    )


def assert_derivatives(
    function: Callable[[Any], jax.Array],
    at: Any,
    gradient: Any,
    constants: Constants,
    rtol: float = 1e-4,
) -> None:
    """Holds a gradient to differences, along a random direction for each leaf of a tree.

    Args:
      function: of the tree, to a scalar, in float64.
      at: the tree.
      gradient: of the function, by other means.
      constants: what the function asks for what takes no gradient.
      rtol: tolerance relative to the length of a leaf's gradient.
    """
    run = _hold(function, at, constants)
    leaves, structure = jax.tree.flatten_with_path(at)
    values = [np.asarray(value) for _, value in leaves]
    gradients = [np.asarray(value, np.float64) for value in jax.tree.leaves(gradient)]
    rounding = 3e-7 * np.sqrt(sum(np.sum(value**2) for value in gradients))
    draw = np.random.default_rng(0)
    for i, (path, _) in enumerate(leaves):
        direction = draw.standard_normal(values[i].shape)
        ends = [
            structure.unflatten([*values[:i], values[i] + step * direction, *values[i + 1 :]])
            for step in (STEP, -STEP)
        ]
        found = (run(ends[0]) - run(ends[1])) / (2 * STEP)
        expected = np.sum(gradients[i] * direction)
        limit = rtol * np.linalg.norm(gradients[i]) + rounding
        message = f'{jax.tree_util.keystr(path)}: {found} by differences, not {expected}'
        assert abs(found - expected) <= limit, message


def _hold(function, at, constants):
    """Returns the function, compiled, with what takes no gradient as it is at a tree."""

    def run(at, kept, use):
        constants.restart(kept, use)
        return function(at), constants.seen

    shapes = jax.eval_shape(lambda at: run(at, None, False)[1], at)
    compiled = jax.jit(run)
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    kept = compiled(at, zeros, False)[1]
    return lambda moved: float(compiled(moved, kept, True)[0])
