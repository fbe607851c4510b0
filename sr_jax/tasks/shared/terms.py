"""Terms of a loss whose weights change in the course of a run, and which cost nothing at 0."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from sr_jax.config.settings import check_updates
from sr_jax.errors import InputError
from sr_jax.losses import pixel

T = TypeVar('T')


@dataclasses.dataclass(frozen=True)
class Term:
    """When a term of the loss takes part, and how much.

    Raises ValueError, which names the key, for what is out of range; `bind` names the section too.

    Attributes:
      weight: from `start` on.
      start: updates that are done by then; 0 = from the first on.
      before: the weight until then.
    """

    weight: float = 0.0
    start: int = 0
    before: float = 0.0

    def __post_init__(self):
        for key in ('weight', 'start', 'before'):
            if getattr(self, key) < 0:
                raise ValueError(f'{key} must not be negative')
        check_updates(self, 'start')

    def at(self, step: Int[Array, '']) -> Float[Array, '']:
        """Returns the weight for the update after so many."""
        return jnp.where(step >= self.start, jnp.float32(self.weight), jnp.float32(self.before))

    @property
    def ever(self) -> bool:
        """Whether the weight is above 0 at some time, however long the run."""
        return self.weight > 0 or (self.start > 0 and self.before > 0)

    @property
    def always(self) -> bool:
        """Whether the weight is above 0 all the time."""
        return self.weight > 0 and (self.start == 0 or self.before > 0)


@dataclasses.dataclass(frozen=True)
class Criteria(Term):
    """The section `config.loss.criteria`: more losses of the image and the true one.

    Attributes:
      weights: of files of `sr_jax.losses` that export a `criterion`, such as {'ms_ssim': 0.2,
        'luma': 0.1}; the term is their weighted sum.
    """

    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        super().__post_init__()
        for name in self.weights:
            pixel.find_criterion(name)
        if self.ever and not self.weights:
            raise InputError("config.loss.criteria has a weight, so it needs weights={'luma': 1}")

    def compute(self, image: Array, target: Array) -> Array:
        """The weighted sum of the losses."""
        losses = {name: pixel.find_criterion(name)(image, target) for name in self.weights}
        return jnp.asarray(sum(self.weights[name] * loss for name, loss in losses.items()))


def compute_if_active(term: Term, step: Int[Array, ''], compute: Callable[[], T]) -> T:
    """Returns compute(), or zeros in its structure, without computing it, while the weight is 0.

    The choice is made at run time by `lax.cond`, which compiled code keeps as a branch as long as
    nobody maps over it; gradients go through it. A term whose weight is never 0 has no branch.

    Args:
      term: of a weight that is not always 0.
      step: updates done.
      compute: a function of what it closes over, to arrays.
    """
    if term.always:
        return compute()
    shapes = jax.eval_shape(compute)

    def zeros() -> T:
        return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    return lax.cond(term.at(step) > 0, compute, zeros)
