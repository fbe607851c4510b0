"""What a discriminator does in training: it is to be fooled, and it learns.

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
import optax
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Bool, Float

from sr_jax.errors import InputError
from sr_jax.layers import batch_norm, spectral_norm
from sr_jax.losses import adversarial, gradient_penalty
from sr_jax.optim.update import Gradients, accumulated_update, select
from sr_jax.tasks.shared.terms import Term
from sr_jax.tasks.task import TrainState


@dataclasses.dataclass(frozen=True)
class Adversarial(Term):
    """The section `config.loss.adversarial`. The discriminator learns while the weight is not 0.

    Attributes:
      kind: 'vanilla', 'least_squares', 'hinge' or 'wasserstein'; see `sr_jax.losses.adversarial`.
      relativistic: images are judged against the average of the other side (not 'wasserstein');
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


def learn(variables: Mapping[str, Any], passes: Passes, taken: Bool[Array, '']) -> dict[str, Any]:
    """Returns the collections of a discriminator after the passes, if they were taken."""
    changed = {**variables, **passes.vectors}
    for statistics in passes.norms:
        if statistics:
            norms = changed[batch_norm.COLLECTION]
            changed[batch_norm.COLLECTION] = batch_norm.update_batch_norms(norms, statistics)
    return select(taken, changed, dict(variables))


def _pass(
    model: nn.Module, params: Any, variables: Mapping[str, Any], images: Float[Array, 'n h w 3']
) -> tuple[Array, dict[str, Any], Any]:
    """Returns logits in training, the collections then, and the statistics of batch norms."""
    logits, written = model.apply(
        {'params': params, **variables},
        images,
        train=True,
        mutable=[spectral_norm.COLLECTION, batch_norm.STATISTICS],
    )
    written = dict(lax.stop_gradient(written))
    statistics = written.pop(batch_norm.STATISTICS, {})
    return logits, {**variables, **written}, statistics


def _passes(variables: Mapping[str, Any], *norms: Any) -> Passes:
    name = spectral_norm.COLLECTION
    return Passes({name: variables[name]} if name in variables else {}, norms)


def fooling(
    model: nn.Module,
    settings: Adversarial,
    params: Any,
    variables: Mapping[str, Any],
    images: Mapping[str, Float[Array, 'n h w 3']],
    key: Array,
) -> tuple[Float[Array, ''], Passes]:
    """Returns the adversarial loss of a generator, without its weight.

    Args:
      model: the discriminator.
      settings: of the loss.
      params: of the discriminator.
      variables: its other collections.
      images: 'real' ones, which a relativistic loss looks at, and 'fake' ones.
      key: for the noise.
    """
    images = _noisy(images, settings.noise, key)
    if not settings.relativistic:
        fake, variables, norm = _pass(model, params, variables, images['fake'])
        return settings.generator_loss(jnp.zeros_like(fake), fake), _passes(variables, norm)
    real, variables, first = _pass(model, params, variables, images['real'])
    fake, variables, second = _pass(model, params, variables, images['fake'])
    return settings.generator_loss(real, fake), _passes(variables, first, second)


def _loss(
    model: nn.Module,
    settings: Adversarial,
    state: TrainState,
    params: Any,
    images: Mapping[str, Float[Array, 'n h w 3']],
    key: Array,
) -> tuple[Float[Array, ''], tuple[dict[str, Array], Passes, None]]:
    """The discriminator's loss, for `optimizer.accumulated_update`."""
    variables: Mapping[str, Any] = state.variables
    images = _noisy(images, settings.noise, key)
    real, variables, first = _pass(model, params, variables, images['real'])
    fake, variables, second = _pass(model, params, variables, images['fake'])

    def still(x: Array) -> Any:
        return model.apply({'params': params, **variables}, x, train=True)

    total = settings.discriminator_loss(real, fake)
    terms = {'discriminator': total, 'real_logits': real.mean(), 'fake_logits': fake.mean()}
    if settings.gradient_penalty:
        penalty = gradient_penalty.gradient_penalty(still, images['real'])
        terms['gradient_penalty'] = penalty
        total += settings.gradient_penalty * penalty
    if settings.r1:
        terms['r1'] = lax.cond(
            state.step % settings.r1_every == 0,
            lambda: gradient_penalty.r1(still, images['real']),
            lambda: jnp.zeros(()),
        )
        total += settings.r1 * settings.r1_every * terms['r1']
    return total, (terms, _passes(variables, first, second), None)


def discriminator_step(
    model: nn.Module,
    settings: Adversarial,
    state: TrainState,
    images: Mapping[str, Float[Array, 'n h w 3']],
    key: Array,
    *,
    transformation: optax.GradientTransformation,
    accumulation: int,
) -> tuple[TrainState, Gradients]:
    """One update of a discriminator, which is skipped while the weight of the loss is 0.

    BasicSR's relativistic loss has the generated images pass twice, once for their average
    alone; here that average is taken from the one pass there is. With batch norm this is the same.

    Args:
      model: the discriminator.
      settings: of the loss.
      state: of the discriminator alone, with the step of the run.
      images: 'real' and 'fake' ones, no gradient of which is taken.
      key: for the noise.
      transformation: its optimiser.
      accumulation: microbatches that the images are taken in.

    Returns:
      The state with the old step, and the gradients, without statistics.
    """

    def loss(params, microbatch, key):
        return _loss(model, settings, state, params, microbatch, key)

    def update() -> tuple[TrainState, Gradients]:
        params, opt_state, loss_scale, gradients = accumulated_update(
            loss,
            state.params,
            state.opt_state,
            state.loss_scale,
            images,
            key,
            optimizer=transformation,
            accumulation=accumulation,
            merge=merge,
        )
        variables = learn(state.variables, gradients.statistics, gradients.taken)
        new = {'params': params, 'opt_state': opt_state, 'loss_scale': loss_scale}
        return state.replace(variables=variables, **new), gradients._replace(statistics=None)

    if settings.always:
        return update()
    shapes = jax.eval_shape(update)[1]
    nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    nothing = nothing._replace(finite=jnp.ones(shapes.finite.shape, bool))
    return lax.cond(settings.at(state.step) > 0, update, lambda: (state, nothing))


def _noisy(
    images: Mapping[str, Float[Array, 'n h w 3']], noise: float, key: Array
) -> dict[str, Float[Array, 'n h w 3']]:
    """The images with noise in [0, noise) added, as they are where that is 0."""
    if not noise:
        return dict(images)
    return {
        name: x + jax.random.uniform(jax.random.fold_in(key, i), x.shape, maxval=noise)
        for i, (name, x) in enumerate(sorted(images.items()))
    }
