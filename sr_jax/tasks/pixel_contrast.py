"""Contrastive learning of pixels' latents without labels: PixPro (arXiv:2011.10043).

Two views of an image are drawn; a network that is trained tells the latents of one's pixels, and a
moving average of its parameters those of the other's that are near in the image. Details are the
authors' (zdaxie/PixPro), but for the views (`sr_jax.layers.views`) and one thing: the running
averages of batch norms move once for both views together. There is no loss of whole images.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Array, Float

from sr_jax import models
from sr_jax.config.binding import bind
from sr_jax.errors import InputError
from sr_jax.images.contact_sheet import repeat_pixels
from sr_jax.layers import switching
from sr_jax.layers.views import View, draw_view
from sr_jax.losses.pixel_contrast import agreement, find_pairs
from sr_jax.models.pixpro import PixPro, normalize
from sr_jax.tasks.shared.evaluation import join, measure_numbers
from sr_jax.tasks.shared.switched import init_network, measure_choices
from sr_jax.tasks.step import Objective, Training, check_sections, make_step, read_training
from sr_jax.tasks.task import Batch, Outputs, Panels, Task, TrainState, Variables

TARGET = 'target'  # the collection of the averaged parameters, and how often they have moved
AVERAGED = ('backbone', 'projector')


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`.

    Attributes:
      momentum: of the moving average at the start; it rises to 1 by half a cosine.
    """

    momentum: float = 0.99

    def __post_init__(self):
        if not 0 <= self.momentum <= 1:
            raise InputError('config.loss.momentum must be in [0, 1]')


# Of a config of this task, beside its networks and `sr_jax.config.defaults.SHARED`.
OWN_SECTIONS = {'loss': LossSettings}


def make(config: ml_collections.ConfigDict) -> Task:
    """Returns the task of a config.

    A batch holds 'hq', images [n, h, w, 3] in [0, 1]. predict's outputs are 'latents', float32
    [n, h2, w2, c] of length 1; 'agreement' [n], the mean cosine of near pixels of two views of
    each image; and the 'views' themselves, [n, 2, h, w, 3].

    Raises:
      InputError: a key that is missing, unknown or of the wrong type, or another network.
    """
    check_sections(config)
    training = read_training(config)
    model: Any = models.make(config.model, dtype=config.dtype, remat=training.remat)
    if not isinstance(model, PixPro):
        raise InputError(
            f'config.model.name={config.model.name!r} has no latents of pixels: take pixpro'
        )
    momentum = bind(LossSettings, config.loss, 'config.loss').momentum
    size, steps = config.data.crop_size, config.train.steps
    objective = Objective(
        loss=functools.partial(compute_loss, model),
        apply=functools.partial(update_collections, momentum, steps),
    )
    return Task(
        batch=lambda n: {'hq': jax.ShapeDtypeStruct((n, size, size, 3), jnp.float32)},
        init=functools.partial(init, model, training),
        train_step=make_step(objective, training),
        predict=functools.partial(predict, model),
        evaluation=join(measure_numbers({'agreement': True}), measure_choices()),
        panels=panels,
        networks={'model': 'model'},
    )


def init(model: Any, training: Training, key: Array, batch: Batch) -> TrainState:
    """The state at the start, of an average that is the network itself: see `Task.init`."""
    params, variables = init_network(model, key, batch['hq'][:1])
    copies = {name: jax.tree.map(jnp.copy, params[name]) for name in AVERAGED}
    variables[TARGET] = {'params': copies, 'moved': jnp.zeros((), jnp.int32)}
    return training.start(params, variables)


def compute_loss(
    model: Any, params: Any, state: TrainState, microbatch: Batch, key: Array
) -> tuple[Array, tuple[dict[str, Array], dict[str, Any], None]]:
    """Minus twice the agreement, of both views with the other's keys: see `Objective.loss`."""
    collections = {k: v for k, v in state.variables.items() if k != TARGET}
    keys = jax.random.split(key)
    views = [draw_view(own, microbatch['hq']) for own in keys]
    call = functools.partial(
        model.apply, train=True, mutable=list(switching.MUTABLE), rngs={'dropout': key}
    )
    queries, statistics = [], []
    for view in views:
        latents, mutated = call({'params': params, **collections}, view.images)
        queries.append(latents)
        statistics.append(switching.collect_statistics(mutated))
    averaged = {'params': state.variables[TARGET]['params'], **collections}
    targets = [normalize(call(averaged, v.images, method='project')[0]) for v in views]
    found = compare(queries, jax.lax.stop_gradient(targets), views)
    return -2 * found.mean(), ({'agreement': found.mean() / 2}, switching.merge(*statistics), None)


def compare(queries: list[Array], targets: list[Array], views: list[View]) -> Float[Array, ' n']:
    """Returns the agreement of each view with the keys of the other, the sum of both."""
    height, width = queries[0].shape[1:3]
    pairs = find_pairs(views[0].corners, views[1].corners, height, width)
    first = agreement(queries[0], targets[1], pairs)
    return first + agreement(queries[1], targets[0], pairs.swapaxes(1, 2))


def update_collections(
    momentum: float, steps: int, params: Any, variables: Variables, statistics: dict[str, Any]
) -> dict[str, Any]:
    """The averaged parameters, moved for the next step, and what norms keep.

    The authors move them between the queries and the keys of a step, by the parameters before its
    update; which is here after the step before, by the same parameters.
    """
    target = variables[TARGET]
    moved = target['moved'] + 1
    rest = (1 - momentum) * (jnp.cos(math.pi * moved / steps) + 1) / 2
    averages = {
        name: jax.tree.map(lambda a, p: a + rest * (p - a), target['params'][name], params[name])
        for name in AVERAGED
    }
    return {
        TARGET: {'params': averages, 'moved': moved},
        **switching.update(variables, statistics),
    }


def predict(model: Any, variables: Variables, batch: Batch, key: Array) -> Outputs:
    """`Task.predict`: see `make`."""
    collections = {k: v for k, v in variables.items() if k != TARGET}
    views = [draw_view(own, batch['hq']) for own in jax.random.split(key)]
    latents, mutated = model.apply(collections, batch['hq'], mutable=['intermediates'])
    queries = [model.apply(collections, view.images) for view in views]
    averaged = {**collections, 'params': variables[TARGET]['params']}
    targets = [normalize(model.apply(averaged, v.images, method='project')) for v in views]
    outputs: Outputs = {
        'latents': latents,
        'agreement': compare(queries, targets, views) / 2,
        'views': jnp.stack([view.images for view in views], axis=1),
    }
    if switching.settings_of(model):
        outputs['choices'] = switching.choices_by_layer(mutated['intermediates'])
    return outputs


def panels(batch: Batch, outputs: Outputs) -> Panels:
    """`Task.panels`: images, their two views, and the three main directions of their latents as
    colors."""
    images = batch['hq']
    views = np.moveaxis(outputs['views'], 1, 0)
    return {'samples': [images, *views, color_latents(outputs['latents'], images.shape[1:3])]}


def color_latents(
    latents: Float[np.ndarray, 'n h w c'], size: tuple[int, int]
) -> Float[np.ndarray, 'n h2 w2 3']:
    """Returns what latents are along their three main directions, over all images, in [0, 1]."""
    flat = latents.reshape(-1, latents.shape[-1])
    flat = flat - flat.mean(axis=0)
    directions = np.linalg.svd(flat, full_matrices=False)[2][:3]
    along = flat @ directions.T
    low, high = along.min(axis=0), along.max(axis=0)
    colors = ((along - low) / np.maximum(high - low, 1e-9)).reshape(*latents.shape[:3], -1)
    factor = -(-size[0] // latents.shape[1])
    return np.stack([repeat_pixels(page, factor)[: size[0], : size[1]] for page in colors])
