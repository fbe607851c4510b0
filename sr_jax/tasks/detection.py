"""Detection: boxes around the things in an image, and their classes, by FCOS.

Losses are torchvision's: a focal loss of the classes, generalized overlap of the boxes, and the
cross-entropy of centeredness, each a sum divided by the number of places that see a thing. So
microbatches, which see different numbers of them, are not exactly one batch.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from sr_jax import models
from sr_jax.config.binding import bind
from sr_jax.data.fields import MAX_BOXES
from sr_jax.errors import InputError
from sr_jax.images import boxes as drawing
from sr_jax.layers import boxes, switching
from sr_jax.losses.focal import focal_loss
from sr_jax.metrics import average_precision
from sr_jax.models.fcos import FCOS, Findings, Places, places
from sr_jax.tasks.shared import classes
from sr_jax.tasks.shared.evaluation import join
from sr_jax.tasks.shared.switched import draw_selectors, init_network, measure_choices
from sr_jax.tasks.step import Objective, Training, check_sections, make_step, read_training
from sr_jax.tasks.task import (
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

RADIUS = 1.5  # strides from a box's center within which a place may see it
REACHES = (4, 8)  # strides that the farthest side of a box may be away, for its size of features
SHOWN = 0.3  # the least score of boxes in samples
FAR = 1e5  # pixels between the boxes of two classes, so that these do not suppress each other


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`.

    Attributes:
      classes_weight, boxes_weight, centeredness_weight: of the three losses.
    """

    classes_weight: float = 1.0
    boxes_weight: float = 1.0
    centeredness_weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class BoxSettings:
    """The section `config.boxes`: which boxes are told.

    Attributes:
      least_score: under which a box is not told.
      candidates: so many of the best are looked at.
      overlap: by which a box suppresses others of its class that are less certain.
      most: of an image, at most.
    """

    least_score: float = 0.05
    candidates: int = 200
    overlap: float = 0.6
    most: int = 100

    def __post_init__(self):
        if not 0 < self.most <= self.candidates:
            raise InputError('config.boxes.most must be from 1 to config.boxes.candidates')


# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {'loss': LossSettings, 'boxes': BoxSettings}


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    A batch holds 'hq', images [n, h, w, 3] in [0, 1], and 'boxes', float32 [n, m, 5]: top, left,
    bottom and right in pixels, and the class; -1 where there is none. predict's outputs are
    'boxes', float32 [n, most, 5] as those, and 'scores' [n, most], 0 where there is none.

    Raises:
      InputError: a key that is missing, unknown or of the wrong type, or a network that finds no
        boxes.
    """
    check_sections(config, 'boxes')
    training = read_training(config)
    model: Any = models.make(config.model, dtype=config.dtype, remat=training.remat)
    if not isinstance(model, FCOS):
        raise InputError(f'config.model.name={config.model.name!r} finds no boxes: take fcos')
    weights = bind(LossSettings, config.loss, 'config.loss')
    told = bind(BoxSettings, config.boxes, 'config.boxes')
    size = config.data.crop_size
    return Task(
        batch=lambda n: {
            'hq': jax.ShapeDtypeStruct((n, size, size, 3), jnp.float32),
            'boxes': jax.ShapeDtypeStruct((n, MAX_BOXES, 5), jnp.float32),
        },
        init=functools.partial(init, model, training),
        train_step=make_step(
            Objective(functools.partial(compute_loss, model, weights)), training
        ),
        predict=functools.partial(predict, model, told),
        evaluation=join(measure_boxes(model.classes), measure_choices()),
        panels=functools.partial(panels, model.classes, switching.settings_of(model)),
        networks={'model': 'model'},
        complete=complete,
        check=functools.partial(check, model.classes),
        usage='detect {run} IMAGE --output FOLDER',
    )


def complete(config: ml_collections.ConfigDict, load: Load) -> None:
    """Writes the number of classes into a config: see `Task.complete`."""
    del load
    classes.complete(config, 'boxes')


def check(count: int, batch: Batch) -> Batch:
    """The batch; raises InputError for a box that is empty or of no class: see `Task.check`."""
    found = np.asarray(batch['boxes'])
    if found.shape[-1] != 5:
        raise InputError('the boxes have no classes: each needs a fifth number')
    there = found[found[..., 4] >= 0]
    classes.check_labels(there[:, 4], count, 'the class of a box')
    if not (there[:, :2] < there[:, 2:4]).all():
        raise InputError('a box is empty: its bottom must be below its top, and its right beyond')
    return batch


def init(model: Any, training: Training, key: Array, batch: Batch) -> TrainState:
    """The state at the start: see `Task.init`."""
    return training.start(*init_network(model, key, batch['hq'][:1]))


def match(truth: Float[Array, 'm 5'], where: Places) -> Int[Array, ' l']:
    """Returns for each place which box of an image it sees; -1: none.

    It lies within the box, near its center, and the farthest side is as far as its size of features
    reaches; of several boxes it sees the smallest.
    """
    corners, there = truth[None, :, :4], truth[:, 4] >= 0
    centers, strides = jnp.asarray(where.centers)[:, None], jnp.asarray(where.strides)[:, None]
    sides = jnp.concatenate([centers - corners[..., :2], corners[..., 2:] - centers], axis=-1)
    middle = (corners[..., :2] + corners[..., 2:]) / 2
    near = jnp.abs(centers - middle).max(axis=-1) < RADIUS * strides
    least = jnp.where(strides == where.strides.min(), 0, REACHES[0] * strides)
    most = jnp.where(strides == where.strides.max(), jnp.inf, REACHES[1] * strides)
    far = sides.max(axis=-1)
    seen = near & (sides.min(axis=-1) > 0) & (far > least) & (far < most) & there[None]
    areas = jnp.where(seen, boxes.area(corners), jnp.inf)
    return jnp.where(seen.any(axis=1), jnp.argmin(areas, axis=1), -1)


def place_boxes(sides: Float[Array, 'n l 4'], where: Places) -> Float[Array, 'n l 4']:
    """Returns the boxes whose sides are so many strides from their places."""
    signed = np.asarray([[-1, -1, 1, 1]], np.float32) * where.strides[:, None]
    return np.tile(where.centers, 2)[None] + signed[None] * sides


def find_losses(
    found: Findings, truth: Float[Array, 'n m 5'], where: Places
) -> dict[str, Float[Array, '']]:
    """Returns the three losses, by name."""
    seen = jax.vmap(match, (0, None))(truth, where)
    sees = seen >= 0
    own = jnp.take_along_axis(truth, jnp.maximum(seen, 0)[..., None], axis=1)
    count = jnp.maximum(sees.sum(), 1)
    # Of places that see nothing, boxes that are no boxes must not give NaNs.
    nothing = np.asarray([0, 0, 1, 1], np.float32)[None, None]
    corners = jnp.where(sees[..., None], own[..., :4], nothing)
    labels = jnp.where(sees, own[..., 4].astype(jnp.int32), -1)
    targets = jax.nn.one_hot(labels, found.logits.shape[-1])
    overlap = boxes.generalized_overlap(place_boxes(found.sides, where), corners)
    sides = jnp.abs(corners - np.tile(where.centers, 2)[None])
    low = jnp.minimum(sides[..., :2], sides[..., 2:])
    high = jnp.maximum(sides[..., :2], sides[..., 2:])
    centered = jnp.sqrt(jnp.prod(low / jnp.maximum(high, 1e-6), axis=-1))
    nats = optax.sigmoid_binary_cross_entropy(found.centeredness, lax.stop_gradient(centered))
    return {
        'classes': focal_loss(found.logits, targets).sum() / count,
        'boxes': jnp.sum((1 - overlap) * sees) / count,
        'centeredness': jnp.sum(nats * sees) / count,
    }


def compute_loss(
    model: Any, weights: LossSettings, params: Any, state: TrainState, microbatch: Batch, key: Array
) -> tuple[Array, tuple[dict[str, Array], dict[str, Any], None]]:
    """The three losses, each with its weight: see `Objective.loss`."""
    found, mutated = model.apply(
        {'params': params, **state.variables},
        microbatch['hq'],
        train=True,
        mutable=list(switching.MUTABLE),
        rngs={'dropout': key},
    )
    height, width = microbatch['hq'].shape[1:3]
    where = places(height, width, model.stem)
    terms = find_losses(found, microbatch['boxes'], where)
    total = jnp.asarray(sum(getattr(weights, f'{name}_weight') * terms[name] for name in terms))
    return total, (terms, switching.collect_statistics(mutated), None)


def predict(
    model: Any, told: BoxSettings, variables: Variables, batch: Batch, key: Array
) -> Outputs:
    """`Task.predict`: see `make`."""
    del key
    images = batch['hq']
    found, mutated = model.apply(variables, images, mutable=['intermediates'])
    height, width = images.shape[1:3]
    where = places(height, width, model.stem)
    corners = place_boxes(found.sides, where)
    corners = jnp.maximum(corners, 0)
    corners = jnp.minimum(corners, np.asarray([height, width] * 2, np.float32)[None, None])
    scores = jnp.sqrt(jax.nn.sigmoid(found.logits) * jax.nn.sigmoid(found.centeredness)[..., None])
    outputs: Outputs = dict(jax.vmap(functools.partial(select, told))(corners, scores))
    if switching.settings_of(model):
        outputs['choices'] = switching.choices_by_layer(mutated['intermediates'])
    return outputs


def select(
    told: BoxSettings, corners: Float[Array, 'l 4'], scores: Float[Array, 'l k']
) -> dict[str, Array]:
    """Returns the 'boxes' of an image that are told, with their class, and their 'scores'."""
    count = min(told.candidates, scores.size)
    best, index = lax.top_k(scores.ravel(), count)
    place, kind = jnp.divmod(index, scores.shape[1])
    chosen = corners[place]
    kept = boxes.suppress(chosen + FAR * kind[:, None], told.overlap) & (best > told.least_score)
    scores, order = lax.top_k(jnp.where(kept, best, 0), min(told.most, count))
    found = jnp.concatenate([chosen, kind[:, None].astype(jnp.float32)], axis=1)[order]
    return {'boxes': jnp.where(scores[:, None] > 0, found, -1), 'scores': scores}


def measure_boxes(count: int) -> Evaluation:
    """Returns the evaluation of boxes of so many classes: see `sr_jax.metrics.average_precision`.

    A row holds what there is and what was found in an image.
    """

    def measure(batch: Batch, outputs: Outputs) -> tuple[list[Row], Totals]:
        rows: list[Row] = []
        for truth, found, scores in zip(
            batch['boxes'], outputs['boxes'], outputs['scores'], strict=True
        ):
            there, told = truth[:, 4] >= 0, scores > 0
            row = {'truth': truth[there], 'boxes': found[told], 'scores': scores[told]}
            rows.append({name: np.asarray(value).tolist() for name, value in row.items()})
        return rows, {}

    def summarize(rows: list[Row], totals: Totals) -> dict[str, float]:
        del totals
        images = [
            average_precision.Found(
                truth=np.asarray(row['truth'], np.float64).reshape(-1, 5),
                boxes=np.asarray(row['boxes'], np.float64).reshape(-1, 5),
                scores=np.asarray(row['scores'], np.float64),
            )
            for row in rows
        ]
        return average_precision.average_precision(images, count)

    return Evaluation(measure, summarize, {'ap': True})


def panels(
    count: int, settings: switching.Switching | None, batch: Batch, outputs: Outputs
) -> Panels:
    """`Task.panels`: images with the true boxes, and with those that were found."""
    images = batch['hq']
    drawn: list[list[np.ndarray]] = [[], []]
    for image, truth, found, scores in zip(
        images, batch['boxes'], outputs['boxes'], outputs['scores'], strict=True
    ):
        shown = scores >= SHOWN
        drawn[0].append(drawing.draw(image, truth[truth[:, 4] >= 0], count))
        drawn[1].append(drawing.draw(image, found[shown], count, scores[shown]))
    columns = [np.stack(pages) for pages in drawn]
    return {'samples': columns, **draw_selectors(settings, images, outputs)}
