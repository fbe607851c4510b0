"""Stage 2 of VQ-VAE-2: a prior over the codes of a frozen stage 1 (arXiv:1906.00446).

The top codes are drawn one after the other, each given those before it; then the bottom codes,
given all the top ones. The networks of both levels are trained together or each in a run of its
own (`config.loss.levels`), on images, whose codes are computed as they come, or on codes that
`sr-jax extract-codes` has written.
"""

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax
from jax import lax
from jaxtyping import Array, Float

from sr_jax import models
from sr_jax.config.binding import bind, nearest
from sr_jax.data.code_shards import FACTORS, read_description
from sr_jax.data.sources import codes as code_source
from sr_jax.data.sources import fields_of, find_kind
from sr_jax.errors import InputError
from sr_jax.images.finite import clip_finite
from sr_jax.layers import switching
from sr_jax.models.protocols import CodePrior
from sr_jax.optim.update import split_microbatches
from sr_jax.tasks.shared import stage_1
from sr_jax.tasks.shared.evaluation import join, measure_numbers
from sr_jax.tasks.shared.stage_1 import Stage1Settings
from sr_jax.tasks.step import (
    Objective,
    Training,
    check_sections,
    optimizer_metrics,
    read_training,
    step_metrics,
    update,
)
from sr_jax.tasks.task import (
    FROZEN,
    Batch,
    Load,
    Metrics,
    Outputs,
    Panels,
    Task,
    TrainState,
    Variables,
)

LEVELS = {'both': ('top', 'bottom'), 'top': ('top',), 'bottom': ('bottom',)}
SECTIONS = {'top': 'model', 'bottom': 'bottom'}  # of the config, with the network of each level
BITS = 'bits_per_dimension'
States = dict[str, TrainState]  # by level


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`.

    Attributes:
      levels: which networks are trained: 'both', 'top' or 'bottom'.
      label_dropout: share of the images whose class is not told, so that samples can be guided away
        from those of no class; where there are classes.
    """

    levels: str = 'both'
    label_dropout: float = 0.1

    def __post_init__(self):
        if self.levels not in LEVELS:
            raise InputError(f'config.loss.levels={self.levels!r}: {nearest(self.levels, LEVELS)}')
        if not 0 <= self.label_dropout <= 1:
            raise InputError('config.loss.label_dropout must be in [0, 1]')


# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {'loss': LossSettings, 'stage_1': Stage1Settings}


class Parts(NamedTuple):
    """What a config makes; none of it changes.

    Attributes:
      priors: the network of each level that is trained.
      coder: the module of the stage 1; None while a config does not tell it yet.
      loss: its settings.
      training: how the networks are updated.
    """

    priors: dict[str, Any]
    coder: Any
    loss: LossSettings
    training: Training


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    `config.model` is the network of the top codes, `config.bottom` that of the bottom codes. A
    batch holds 'hq', images [n, h, w, 3] in [0, 1], h and w divisible by 8; or, of a source of
    codes, 'top', int32 [n, h/8, w/8], and 'bottom', [n, h/4, w/4]; and 'label', int32 [n], where
    the networks have classes. predict's outputs are 'bits_per_dimension_<level>', float32 [n], the
    bits that a code of that level takes on average, 'bits_per_dimension' over both;
    'reconstruction', what stage 1 makes of the codes, [n, h, w, 3]; and 'image', what it makes of
    codes that are each drawn given the true ones before it.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type, or networks that do not fit
        each other or the images.
    """
    parts = read_parts(config)
    size, images = config.data.crop_size, 'hq' in fields_of(config.data.source)
    shapes: dict[str, tuple[int, ...]] = {'hq': (size, size, 3)}
    if not images:
        shapes = {level: (size // factor,) * 2 for level, factor in FACTORS.items()}
    classes = next(iter(parts.priors.values())).classes
    shapes |= {'label': ()} if classes else {}

    def batch(n: int) -> Batch:
        types = {'hq': jnp.float32}
        return {
            key: jax.ShapeDtypeStruct((n, *shape), types.get(key, jnp.int32))
            for key, shape in shapes.items()
        }

    directions = {BITS: False, **{f'{BITS}_{level}': False for level in parts.priors}}
    return Task(
        batch=batch,
        init=functools.partial(init, parts),
        train_step=functools.partial(train_step, parts),
        predict=functools.partial(predict, parts),
        evaluation=join(measure_numbers(directions)),
        panels=panels,
        networks={level: SECTIONS[level] for level in parts.priors},
        frozen=functools.partial(load_frozen, config),
        joint=True,
        complete=complete,
        check=functools.partial(check_classes, parts),
        fixed=('config.stage_1.fingerprint', 'config.stage_1.network', 'config.loss.levels'),
        usage='sample {run} --output FOLDER',
    )


def read_parts(config: ml_collections.ConfigDict) -> Parts:
    """Returns what a config makes; raises as `make` does."""
    check_sections(config, 'bottom', 'stage_1')
    training = read_training(config)
    loss = bind(LossSettings, config.loss, 'config.loss')
    section = bind(Stage1Settings, config.stage_1, 'config.stage_1')
    coder = models.make(section.network, 'config.stage_1.network') if section.network else None
    fields = {'dtype': config.dtype, 'remat': training.remat}
    priors = {
        level: models.make(config[SECTIONS[level]], f'config.{SECTIONS[level]}', **fields)
        for level in LEVELS[loss.levels]
    }
    for level, prior in priors.items():
        _check_prior(prior, level, config)
    if len({prior.classes for prior in priors.values()}) > 1:
        numbers = [f'config.{SECTIONS[level]}.classes={priors[level].classes}' for level in priors]
        raise InputError(f'{" and ".join(numbers)}: both levels are told the same classes')
    return Parts(priors, coder, loss, training)


def _check_prior(prior: Any, level: str, config: ml_collections.ConfigDict) -> None:
    """Raises InputError unless a network can be the prior of a level."""
    where, size = f'config.{SECTIONS[level]}', config.data.crop_size
    if not isinstance(prior, CodePrior):
        valid = ', '.join(models.names(CodePrior))
        raise InputError(f'{where}.name={config[SECTIONS[level]].name!r}: take one of {valid}')
    if size % FACTORS['top']:
        raise InputError(f'config.data.crop_size={size} must be a multiple of {FACTORS["top"]}')
    side = size // FACTORS[level]
    if (prior.height or side, prior.width or side) != (side, side):
        raise InputError(
            f'{where} is for maps of {prior.height} x {prior.width} codes, but images of {size} '
            f'pixels have {side} x {side} in the {level} level: take 0, and it is filled in'
        )
    if prior.conditioned != (level == 'bottom'):
        verb = 'must see' if level == 'bottom' else 'cannot see'
        raise InputError(
            f'{where}: the network of the {level} level {verb} the codes above it: set '
            'num_condition_blocks of pixelsnail, num_condition_layers of code_transformer'
        )


def check_classes(parts: Parts, batch: Batch) -> Batch:
    """Returns a batch of the data: see `Task.check`.

    Raises:
      InputError: it is of a class that the networks do not know.
    """
    level, prior = next(iter(parts.priors.items()))
    if not prior.classes or 'label' not in batch:
        return batch
    unknown = batch['label'][(batch['label'] < 0) | (batch['label'] >= prior.classes)]
    if unknown.size:
        raise InputError(
            f'the data has the class {unknown[0]}, but config.{SECTIONS[level]}.classes='
            f'{prior.classes} knows those from 0 to {prior.classes - 1}'
        )
    return batch


def complete(config: ml_collections.ConfigDict, load: Load) -> None:
    """Writes the stage 1 into a config, and what networks have as 0: see `Task.complete`.

    These are `height` and `width`, `codes` and `condition_codes`.
    """
    network = load(config.stage_1.source)
    sizes = stage_1.make_coder(network).code_sizes
    config.stage_1.network = dict(network.model)
    config.stage_1.fingerprint = stage_1.fingerprint(network)
    for level, section in SECTIONS.items():
        side = config.data.crop_size // FACTORS[level]
        values = {'height': side, 'width': side, 'codes': sizes[level]}
        if level == 'bottom':
            values['condition_codes'] = sizes['top']
        for key, value in values.items():
            config[section][key] = config[section][key] or value


def load_frozen(config: ml_collections.ConfigDict, load: Load, training: bool) -> dict[str, Any]:
    """Returns what stage 1 has learned: see `Task.frozen`.

    Raises:
      InputError: it is not the one that the run or its codes were made with, or has other
        codebooks than the networks.
    """
    network = load(config.stage_1.source)
    source, found = network.source, stage_1.fingerprint(network)
    expected = config.stage_1.fingerprint or found
    stage_1.check_fingerprint(expected, found, 'the run', source)
    sizes, loss = stage_1.make_coder(network).code_sizes, config.loss
    for level in LEVELS[loss.levels]:
        section = config[SECTIONS[level]]
        wanted = {'codes': sizes[level]}
        if level == 'bottom':
            wanted['condition_codes'] = sizes['top']
        for key, size in wanted.items():
            if section[key] != size and (key == 'codes' or section[key]):
                raise InputError(
                    f'config.{SECTIONS[level]}.{key}={section[key]}, but the codebook of the '
                    f'{"top" if key != "codes" else level} level of {source} has {size} codes'
                )
    for spec in filter(None, (config.data.source, config.data.validation_source)):
        module, folder = find_kind(spec)
        if training and module is code_source:
            description = read_description(code_source.folder_of(folder))
            what = f'the folder of codes {folder}'
            stage_1.check_fingerprint(description.fingerprint, found, what, source)
    return dict(network.variables)


def init(parts: Parts, key: Array, batch: Batch) -> States:
    """The states of the networks at the start: see `Task.init`."""
    del batch
    states = {}
    for number, (level, prior) in enumerate(parts.priors.items()):
        codes = jnp.zeros(prior.example(1).shape, jnp.int32)
        variables = dict(prior.init(jax.random.fold_in(key, number), codes))
        states[level] = parts.training.start(variables.pop('params'), variables)
    return states


def encode(parts: Parts, frozen: Any, batch: Batch) -> dict[str, Array]:
    """Returns the codes of a batch by level, which may hold them already."""
    if 'hq' not in batch:
        return {level: batch[level] for level in FACTORS}
    codes: dict[str, Array] = parts.coder.apply(frozen, batch['hq'], method='encode')
    return codes


def compute_loss(
    parts: Parts, level: str, params: Any, state: TrainState, microbatch: Batch, key: Array
) -> tuple[Array, tuple[dict[str, Array], Any, None]]:
    """The mean cross-entropy of a level's codes, in nats: see `Objective.loss`."""
    prior = parts.priors[level]
    dropout_key, label_key = jax.random.split(key)
    label = microbatch.get('label')
    if label is not None:
        untold = jax.random.bernoulli(label_key, parts.loss.label_dropout, label.shape)
        label = jnp.where(untold, prior.classes, label)
    logits = prior.apply(
        {'params': params, **_own(state.variables)},
        microbatch[level],
        microbatch['top'] if prior.conditioned else None,
        label,
        train=True,
        rngs={'dropout': dropout_key},
    )
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, microbatch[level]).mean()
    terms = {f'{BITS}_{level}': nats / math.log(2)}
    return nats, (terms, switching.collect_statistics({}), None)


def train_step(parts: Parts, states: States, batch: Batch, rng: Array) -> tuple[States, Metrics]:
    """One update of each network: see `Task.train_step`."""
    first = next(iter(parts.priors))
    old, key = states[first], jax.random.fold_in(rng, states[first].step)
    codes = _encode_in_parts(parts, old.variables[FROZEN], batch)
    codes |= {'label': batch['label']} if 'label' in batch else {}
    new: States = {}
    metrics: Metrics = {}
    finite: dict[str, Array] = {}
    for number, level in enumerate(parts.priors):
        objective = Objective(functools.partial(compute_loss, parts, level))
        own = jax.random.fold_in(key, number)
        state, gradients = update(objective, parts.training, states[level], codes, own)
        found = step_metrics(objective, parts.training, gradients, state)
        finite[level], loss = found.pop('finite_gradients'), found.pop('loss')
        if number:
            found |= optimizer_metrics(parts.training, state, f'{level}_optimizer')
        metrics = {**found, **metrics, 'loss': metrics.get('loss', jnp.zeros(())) + loss}
        new[level] = state.replace(step=states[level].step + 1)
    metrics['finite_gradients'] = jnp.concatenate([finite[level] for level in sorted(finite)])
    return new, metrics


def _encode_in_parts(parts: Parts, frozen: Any, batch: Batch) -> dict[str, Array]:
    """Returns the codes of a whole batch, of one microbatch after the other, for memory."""
    count = parts.training.accumulation
    if count == 1:
        return encode(parts, frozen, batch)
    codes = lax.map(functools.partial(encode, parts, frozen), split_microbatches(batch, count))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), codes)


def predict(parts: Parts, variables: Variables, batch: Batch, key: Array) -> Outputs:
    """`Task.predict`: see `make`."""
    frozen = variables[next(iter(parts.priors))][FROZEN]
    codes = encode(parts, frozen, batch)
    outputs: Outputs = {}
    drawn, totals = dict(codes), []
    for number, (level, prior) in enumerate(parts.priors.items()):
        above = codes['top'] if prior.conditioned else None
        logits = prior.apply(_own(variables[level]), codes[level], above, batch.get('label'))
        bits = count_bits(logits, codes[level])
        totals.append((bits, codes[level][0].size))
        outputs[f'{BITS}_{level}'] = bits / codes[level][0].size
        own = jax.random.fold_in(key, number)
        drawn[level] = jax.random.categorical(own, logits).astype(jnp.int32)
    outputs[BITS] = sum(bits for bits, _ in totals) / sum(size for _, size in totals)
    decode = functools.partial(parts.coder.apply, frozen, method='decode')
    outputs['reconstruction'] = clip_finite(decode(codes))
    outputs['image'] = clip_finite(decode(drawn))
    return outputs


def count_bits(logits: Float[Array, 'n h w k'], codes: Array) -> Float[Array, ' n']:
    """Returns how many bits the codes of each map take under the logits."""
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, codes)
    return nats.sum(axis=(1, 2)) / math.log(2)


def panels(batch: Batch, outputs: Outputs) -> Panels:
    """`Task.panels`: images, what stage 1 makes of their codes, and of codes drawn one by one."""
    columns = [outputs['reconstruction'], outputs['image']]
    return {'samples': [batch['hq'], *columns] if 'hq' in batch else columns}


def _own(variables: Variables) -> dict[str, Any]:
    """The collections that are a prior's own."""
    return {name: value for name, value in variables.items() if name != FROZEN}
