"""Flax modules called as one program each: outside of `jit` every operation is compiled alone."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn


def init(module: nn.Module, key: jax.Array, *inputs: Any, **options: Any) -> Any:
    """Returns `module.init(key, *inputs, **options)`; the options are constants."""
    return _jit(module, 'init', **_hashable(options))(key, *inputs)


def apply(
    module: nn.Module,
    variables: Any,
    *inputs: Any,
    rngs: dict[str, jax.Array] | None = None,
    **options: Any,
) -> Any:
    """Returns `module.apply(variables, *inputs, rngs=rngs, **options)`; options are constants."""
    return _jit(module, 'apply', **_hashable(options))(variables, *inputs, rngs=rngs)


def _hashable(options: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(x) if isinstance(x, list) else x for key, x in options.items()}


@functools.cache
def _jit(module: nn.Module, name: str, **options: Any) -> Callable[..., Any]:
    return jax.jit(functools.partial(getattr(module, name), **options))
