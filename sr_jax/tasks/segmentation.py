"""Segmentation: which of some classes is each pixel of?"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from jaxtyping import Array, Int

from sr_jax import models
from sr_jax.config.binding import bind
from sr_jax.config.settings import read_sources
from sr_jax.errors import InputError
from sr_jax.images.segments import overlay
from sr_jax.layers import switching
from sr_jax.layers.batch_norm import COLLECTION as BATCH_STATS
from sr_jax.layers.normed_convolution import halved
from sr_jax.metrics import confusion
from sr_jax.models.pixpro import PixPro
from sr_jax.models.unet import UNet
from sr_jax.tasks.shared import classes
from sr_jax.tasks.shared.evaluation import join
from sr_jax.tasks.shared.switched import (
    check_load_balancing,
    draw_selectors,
    init_network,
    mean_load_balancing,
    measure_choices,
)
from sr_jax.tasks.step import Objective, Training, check_sections, make_step, read_training
from sr_jax.tasks.task import (
    FROZEN,
    Batch,
    Evaluation,
    Load,
    Outputs,
    Panels,
    Row,
    Task,
    Totals,
    TrainState,
    Variables,
)

IGNORED = 255  # the class of pixels that do not count
GUIDE = 'guide'  # the part of a U-Net's parameters that is the network of the latents


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`.

    Attributes:
      load_balancing_weight: of the loss for even use of the kernels of switched convolutions.
    """

    load_balancing_weight: float = 0.0

    def __post_init__(self):
        if self.load_balancing_weight < 0:
            raise InputError('config.loss.load_balancing_weight must not be negative')


@dataclasses.dataclass(frozen=True)
class SelectorSettings:
    """The section `config.selectors`: what the selectors in a U-Net's decoder look at.

    Attributes:
      source: '' for their own features; or a run of the task pixel_contrast, or a file of such a
        network, for its latents of the image.
      trained: whether that network is trained on, as the part `guide` of the U-Net, by what the
        selectors learn; else it stays as it is.
      network: its name and fields; a run fills them in.
    """

    source: str = ''
    trained: bool = False
    network: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.trained and not self.source:
            raise InputError(
                'config.selectors.trained: name the network of the latents, config.selectors.source'
            )


# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {'loss': LossSettings, 'selectors': SelectorSettings}


class Parts(NamedTuple):
    """What a config makes; none of it changes.

    Attributes:
      model: the network.
      weights: of the loss.
      guide: the module of the latents that stay as they are; None where selectors look at their
        own features, where it is a part of the network, or while a config does not tell it yet.
    """

    model: Any
    weights: LossSettings
    guide: Any


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    A batch holds 'hq', images [n, h, w, 3] in [0, 1], and 'segments', int32 [n, h, w], the class of
    each pixel, 255 where it does not count. predict's outputs are 'segments', the guessed classes;
    where there are true ones 'confusion', int32 [n, classes, classes], the pixels by the true and
    the guessed class; of a network with switched convolutions 'choices', and with true classes
    'told', {layer: int32 [n, breadth, classes]}, the pixels by their kernel and their class.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type.
    """
    check_sections(config, optional=('selectors',))
    training = read_training(config)
    parts = read_parts(config, training)
    model, size = parts.model, config.data.crop_size
    return Task(
        batch=lambda n: {
            'hq': jax.ShapeDtypeStruct((n, size, size, 3), jnp.float32),
            'segments': jax.ShapeDtypeStruct((n, size, size), jnp.int32),
        },
        init=functools.partial(init, parts, training),
        train_step=make_step(
            Objective(functools.partial(compute_loss, parts)), training
        ),
        predict=functools.partial(predict, parts),
        evaluation=join(measure_segments(), measure_choices()),
        panels=functools.partial(panels, model.classes, switching.settings_of(model)),
        networks={'model': 'model'},
        frozen=functools.partial(load_frozen, config),
        complete=complete,
        fixed=('config.selectors.network', 'config.selectors.trained'),
        check=functools.partial(check, model.classes),
        usage='segment {run} IMAGE --output FOLDER',
    )


def read_parts(config: ml_collections.ConfigDict, training: Training) -> Parts:
    """Returns what a config makes; raises as `make` does."""
    model: Any = models.make(config.model, dtype=config.dtype, remat=training.remat)
    weights = bind(LossSettings, config.loss, 'config.loss')
    check_load_balancing(model, 'load_balancing_weight', weights.load_balancing_weight > 0)
    section = bind(SelectorSettings, config.get('selectors', {}), 'config.selectors')
    if section.source and not isinstance(model, UNet):
        raise InputError(
            f'config.selectors.source={section.source!r}: only in the decoder of a unet selectors '
            f'look at latents, not in {config.model.name}'
        )
    network = section.network
    guide = models.make(network, 'config.selectors.network') if network else None
    if network and not isinstance(guide, PixPro):
        raise InputError(
            f'config.selectors.source={section.source!r} is a {network["name"]}, which tells no '
            'latents: take a run of the task pixel_contrast'
        )
    if section.trained:
        model, guide = model.clone(guide=guide), None
    return Parts(model, weights, guide)


def complete(config: ml_collections.ConfigDict, load: Load) -> None:
    """Writes the number of classes, and the network of the latents, into a config; one that is
    trained on is a part that begins with it: see `Task.complete`."""
    classes.complete(config, 'segments')
    selectors = config.selectors
    if not selectors.source:
        return
    selectors.network = dict(load(selectors.source).model)
    if selectors.trained:
        parts = read_sources(config.train.start_from)
        with config.ignore_type():
            config.train.start_from = {GUIDE: selectors.source, **parts}


def load_frozen(config: ml_collections.ConfigDict, load: Load, training: bool) -> Any:
    """Returns what the network of the latents has learned: see `Task.frozen`."""
    del training
    selectors = config.get('selectors', {})
    if not selectors.get('source') or selectors.get('trained'):
        return None
    variables = load(config.selectors.source).variables
    return {name: variables[name] for name in ('params', BATCH_STATS) if name in variables}


def look(parts: Parts, images: Array, variables: Variables) -> Array | None:
    """Returns the latents of images that selectors look at, if they do."""
    if parts.guide is None:
        return None
    return jax.lax.stop_gradient(parts.guide.apply(variables[FROZEN], images))


def check(count: int, batch: Batch) -> Batch:
    """The batch; raises InputError for a pixel that is of no class: see `Task.check`."""
    classes.check_labels(batch['segments'], count, 'the class of a pixel', IGNORED)
    return batch


def init(parts: Parts, training: Training, key: Array, batch: Batch) -> TrainState:
    """The state at the start: see `Task.init`."""
    model, image, told = parts.model, batch['hq'][:1], {}
    if parts.guide is not None:
        spec, _ = jax.eval_shape(parts.guide.init_with_output, key, image)
        told = {'latents': jnp.zeros(spec.shape)}
    return training.start(*init_network(model, key, image, **told))


def compute_loss(
    parts: Parts, params: Any, state: TrainState, microbatch: Batch, key: Array
) -> tuple[Array, tuple[dict[str, Array], dict[str, Any], None]]:
    """The cross-entropy in nats: see `Objective.loss`.

    It is the mean over the images of the mean over their pixels that count, so that any number of
    microbatches gives the same.
    """
    images, latents = microbatch['hq'], look(parts, microbatch['hq'], state.variables)
    logits, mutated = parts.model.apply(
        {'params': params, **_own(state.variables)},
        images,
        train=True,
        **({} if latents is None else {'latents': latents}),
        mutable=list(switching.MUTABLE),
        rngs={'dropout': key},
    )
    segments = microbatch['segments']
    counts = segments != IGNORED
    known = jnp.where(counts, segments, 0)
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, known) * counts
    total = jnp.mean(nats.sum(axis=(1, 2)) / jnp.maximum(counts.sum(axis=(1, 2)), 1))
    terms = {'cross_entropy': total}
    if parts.weights.load_balancing_weight:
        terms['load_balancing'] = mean_load_balancing(mutated['intermediates'])
        total += parts.weights.load_balancing_weight * terms['load_balancing']
    return total, (terms, switching.collect_statistics(mutated), None)


def _own(variables: Variables) -> dict[str, Any]:
    """The collections that are the network's own."""
    return {name: value for name, value in variables.items() if name != FROZEN}


def predict(parts: Parts, variables: Variables, batch: Batch, key: Array) -> Outputs:
    """`Task.predict`: see `make`."""
    del key
    model, latents = parts.model, look(parts, batch['hq'], variables)
    told = {} if latents is None else {'latents': latents}
    logits, mutated = model.apply(
        _own(variables), batch['hq'], mutable=['intermediates'], **told
    )
    guessed = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    outputs: Outputs = {'segments': guessed}
    truth = batch.get('segments')
    if truth is not None:
        outputs['confusion'] = count_pairs(truth, guessed, model.classes, model.classes)
    if settings := switching.settings_of(model):
        choices = switching.choices_by_layer(mutated['intermediates'])
        outputs['choices'] = choices
        if truth is not None:
            outputs['told'] = {
                layer: count_told(choice, truth, settings.breadth, model.classes)
                for layer, choice in choices.items()
            }
    return outputs


def count_pairs(
    first: Int[Array, 'n h w'], second: Int[Array, 'n h w'], rows: int, columns: int
) -> Int[Array, 'n rows columns']:
    """Returns how many pixels of each image have each pair of labels; what is none is left out."""

    def count(a: Array, b: Array) -> Array:
        there = (a >= 0) & (a < rows) & (b >= 0) & (b < columns)
        pairs = jnp.where(there, a * columns + b, rows * columns)
        return jnp.bincount(pairs.ravel(), length=rows * columns + 1)[:-1].reshape(rows, columns)

    return jax.vmap(count)(first, second)


def count_told(
    choice: Int[Array, 'n h2 w2'], truth: Int[Array, 'n h w'], breadth: int, count: int
) -> Int[Array, 'n breadth count']:
    """Returns how many pixels have each kernel and each class, at the resolution of the choices."""
    factor = halved(*truth.shape[1:], *choice.shape[1:])
    middle = truth[:, factor // 2 :: factor, factor // 2 :: factor]
    rows, columns = (min(a, b) for a, b in zip(choice.shape[1:], middle.shape[1:], strict=True))
    return count_pairs(choice[:, :rows, :columns], middle[:, :rows, :columns], breadth, count)


def measure_segments() -> Evaluation:
    """Returns the evaluation of the classes of pixels.

    Metrics, over the pixels of all images together: 'mean_iou', the mean over the classes of
    intersection over union, and that of each class as 'iou/<class>'; 'pixel_accuracy'; and of each
    switched convolution 'told/<layer>', the share of the entropy of the true classes that its
    choices tell (mutual information).
    """

    def measure(batch: Batch, outputs: Outputs) -> tuple[list[Row], Totals]:
        totals = {'confusion': outputs['confusion'].astype(np.int64).sum(axis=0)}
        told = {k: v.astype(np.int64).sum(axis=0) for k, v in outputs.get('told', {}).items()}
        return [{} for _ in batch['hq']], {**totals, 'told': told}

    def summarize(rows: list[Row], totals: Totals) -> dict[str, float]:
        del rows
        counts = np.asarray(totals['confusion'])
        shares = confusion.intersection_over_union(counts)
        there = ~np.isnan(shares)
        found = {'mean_iou': float(shares[there].mean()) if there.any() else 0.0}
        found['pixel_accuracy'] = confusion.accuracy(counts)
        found |= {f'iou/{i}': float(shares[i]) for i in np.flatnonzero(there)}
        for layer, both in totals.get('told', {}).items():
            pairs = np.asarray(both)
            bits = max(confusion.entropy(pairs.sum(axis=0)), 1e-9)
            found[f'told/{layer}'] = confusion.mutual_information(pairs) / bits
        return found

    return Evaluation(measure, summarize, {'mean_iou': True, 'pixel_accuracy': True})


def panels(
    count: int, settings: switching.Switching | None, batch: Batch, outputs: Outputs
) -> Panels:
    """`Task.panels`: images, their true and their guessed masks upon them."""
    images = batch['hq']
    both = (batch['segments'], outputs['segments'])
    masks = [overlay(images, segments, count) for segments in both]
    return {'samples': [images, *masks], **draw_selectors(settings, images, outputs)}
