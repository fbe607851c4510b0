"""What a discriminator does in training: the generator learns from it, and it learns itself.

In training every pass moves its running averages and singular vectors, also those passes in which
the generator learns, as in BasicSR. Real and generated images go through it apart, so that batch
norms know each by itself. Microbatches of one update all begin with the same state. Their batch
norms' statistics merge, and one update applies those of each pass. A step of the power iteration
does not depend on images: all microbatches take the same one, and the last one's is kept. Thus k
microbatches move the state as one large batch does.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Bool, Float

from sr_jax.config.settings import check_updates
from sr_jax.errors import InputError
from sr_jax.layers import batch_norm, spectral_norm
from sr_jax.losses import adversarial
from sr_jax.optim.update import select
from sr_jax.tasks.shared.terms import Term
from sr_jax.tasks.task import TrainState


@dataclasses.dataclass(frozen=True)
class Adversarial(Term):
    """The section `config.loss.adversarial`. The discriminator learns while the weight is not 0.

    Attributes:
      kind: 'vanilla', 'least_squares', 'hinge' or 'wasserstein'; see `sr_jax.losses.adversarial`.
      relativistic: images are compared with the average of the other side (not 'wasserstein');
        an average is of a microbatch, on all devices.
      noise: uniform noise in [0, noise) is added to all images that the discriminator sees, as
        in DL-Art-School (0.004 there).
      gradient_penalty: weight of the penalty on gradients that are not of length 1, on the real
        images, as in DL-Art-School (10 there); 0 = none.
      r1: weight of the R1 penalty (gamma / 2); 0 = none.
      r1_every: the penalty is taken in every so many updates of the run only, with so many times
        its weight (Karras et al. 2019, arXiv:1912.04958, appendix B).
    """

    kind: str = 'vanilla'
    relativistic: bool = False
    noise: float = 0.0
    gradient_penalty: float = 0.0
    r1: float = 0.0
    r1_every: int = 16

    def __post_init__(self):
        super().__post_init__()
        for loss in (self.generator_loss, self.discriminator_loss):
            jax.eval_shape(loss, *[jax.ShapeDtypeStruct((1,), jnp.float32)] * 2)
        for key, least in (('noise', 0), ('gradient_penalty', 0), ('r1', 0), ('r1_every', 1)):
            if getattr(self, key) < least:
                raise InputError(f'config.loss.adversarial.{key} must be at least {least}')
        check_updates(self, 'r1_every')

    def generator_loss(self, real: Array, fake: Array) -> Float[Array, '']:
        """Returns what the generator has to lower, of logits."""
        if self.relativistic:
            return adversarial.relativistic_generator_loss(real, fake, self.kind)
        return adversarial.generator_loss(fake, self.kind)

    def discriminator_loss(self, real: Array, fake: Array) -> Float[Array, '']:
        """Returns what the discriminator has to lower, of logits."""
        if self.relativistic:
            return adversarial.relativistic_discriminator_loss(real, fake, self.kind)
        return adversarial.discriminator_loss(real, fake, self.kind)


class Passes(NamedTuple):
    """What passes through a discriminator leave behind.

    Attributes:
      vectors: the collection 'spectral_norm' after them, within {} or its name.
      norms: of each pass, the statistics of its batch norms.
    """

    vectors: dict[str, Any]
    norms: tuple[Any, ...]


def merge(first: Passes, second: Passes) -> Passes:
    """Returns the passes of two microbatches together; zeros as the first count for nothing."""
    return Passes(second.vectors, batch_norm.merge_statistics(first.norms, second.norms))


def learn(variables: Mapping[str, Any], passes: Passes) -> dict[str, Any]:
    """Returns the collections of a discriminator that change with passes, changed."""
    changed = dict(passes.vectors)
    for statistics in passes.norms:
        if statistics:
            norms = {**variables, **changed}[batch_norm.COLLECTION]
            changed[batch_norm.COLLECTION] = batch_norm.update_batch_norms(norms, statistics)
    return changed


def keep_passes(state: TrainState, passes: Passes, applied: Bool[Array, '']) -> TrainState:
    """Returns a discriminator's state with what a generator's passes moved, where that counts.

    Args:
      state: of the discriminator.
      passes: those in which the generator learned.
      applied: whether its update was.
    """
    variables = state.variables
    moved = learn(variables, passes)
    moved = select(applied, moved, {name: variables[name] for name in moved})
    return state.replace(variables={**variables, **moved})


def collect(variables: Mapping[str, Any], *norms: Any) -> Passes:
    """Returns what passes leave behind: the collections after them, and each one's statistics."""
    name = spectral_norm.COLLECTION
    return Passes({name: variables[name]} if name in variables else {}, norms)


def apply_once(
    model: nn.Module,
    params: Any,
    variables: Mapping[str, Any],
    images: Float[Array, 'n h w c'],
    method: str | None = None,
) -> tuple[Any, dict[str, Any], Any]:
    """Returns logits in training, the collections then, and the statistics of batch norms.

    Args:
      model: the discriminator.
      params: its parameters.
      variables: its other collections.
      images: in [0, 1].
      method: of the discriminator, to be called in place of itself.
    """
    logits, mutated = model.apply(
        {'params': params, **variables},
        images,
        train=True,
        method=method,
        mutable=[spectral_norm.COLLECTION, batch_norm.STATISTICS],
    )
    mutated = dict(lax.stop_gradient(mutated))
    statistics = mutated.pop(batch_norm.STATISTICS, {})
    return logits, {**variables, **mutated}, statistics


def apply_to_both(
    model: nn.Module, params: Any, variables: Mapping[str, Any], images: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, Any], tuple[Any, Any]]:
    """Returns the logits of 'real' and 'fake' images, which go through apart and in this order; the
    collections then; and the statistics of each pass.

    Args:
      model: the discriminator.
      params: its parameters.
      variables: its other collections.
      images: 'real' and 'fake' ones, in [0, 1].
    """
    real, variables, first = apply_once(model, params, variables, images['real'])
    fake, variables, second = apply_once(model, params, variables, images['fake'])
    return {'real': real, 'fake': fake}, dict(variables), (first, second)


def generator_adversarial_loss(
    model: nn.Module,
    settings: Adversarial,
    state: TrainState,
    images: Mapping[str, Float[Array, 'n h w 3']],
    key: Array,
) -> tuple[Float[Array, ''], Passes]:
    """Returns the adversarial loss of a generator, without its weight, and what its passes moved.

    Args:
      model: the discriminator.
      settings: of the loss.
      state: of the discriminator.
      images: 'real' ones, which a relativistic loss looks at, and 'fake' ones.
      key: for the noise.
    """
    images = add_noise(images, settings.noise, key)
    if settings.relativistic:
        logits, variables, norms = apply_to_both(model, state.params, state.variables, images)
        return settings.generator_loss(logits['real'], logits['fake']), collect(variables, *norms)
    fake, variables, norm = apply_once(model, state.params, state.variables, images['fake'])
    return settings.generator_loss(jnp.zeros_like(fake), fake), collect(variables, norm)


def add_noise(
    images: Mapping[str, Float[Array, 'n h w 3']], noise: float, key: Array
) -> dict[str, Float[Array, 'n h w 3']]:
    """Returns the images with noise in [0, noise) added, as they are where that is 0."""
    if not noise:
        return dict(images)
    return {
        name: x + jax.random.uniform(jax.random.fold_in(key, i), x.shape, maxval=noise)
        for i, (name, x) in enumerate(sorted(images.items()))
    }
