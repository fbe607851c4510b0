"""What the tasks of super-resolution share: their batches, networks, predictions and panels.

A batch holds 'hq', the true images [n, h, w, 3] in [0, 1]. The small ones, 'lq', are made from them
on the device as `config.degradation` says, or come in the batch where the source has pairs.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array

from sr_jax import degradations, models
from sr_jax.config.binding import Section
from sr_jax.data.sources import fields_of
from sr_jax.degradations import bicubic
from sr_jax.degradations.settings import PairedSettings
from sr_jax.errors import InputError
from sr_jax.images.finite import clip_finite
from sr_jax.layers import switching
from sr_jax.metrics.protocol import parse_all
from sr_jax.models.protocols import Enlarger
from sr_jax.tasks.shared.evaluation import join, measure_images
from sr_jax.tasks.shared.switched import draw_selectors, init_network, measure_choices
from sr_jax.tasks.task import Batch, Evaluation, Outputs, Panels, Variables

USAGE = 'upscale IMAGE --weights {run} --output FOLDER'


def make_batch(config: Section, scale: int, degradation: degradations.Settings, n: int) -> Batch:
    """Returns the shapes of n training examples.

    Args:
      config: of the run.
      scale: of the network.
      degradation: whether pairs come in the batch.
      n: how many.
    """
    size = config['data']['crop_size']
    batch = {'hq': jax.ShapeDtypeStruct((n, size, size, 3), jnp.float32)}
    if isinstance(degradation, PairedSettings):
        batch['lq'] = jax.ShapeDtypeStruct((n, size // scale, size // scale, 3), jnp.float32)
    return batch


def init_variables(model: nn.Module, key: Array, batch: Batch) -> tuple[Any, dict[str, Any]]:
    """Returns the parameters and the other collections of a network at the start.

    Args:
      model: the network, with a scale.
      key: a random key.
      batch: examples of the right shapes.

    Raises:
      InputError: the config would have convolutions switched that the network has not.
    """
    scale: int = model.scale
    return init_network(model, key, bicubic.degrade(batch['hq'][:1], scale, True))


def predict(
    model: nn.Module,
    degradation: degradations.Settings,
    variables: Variables,
    batch: Batch,
    key: Array,
) -> Outputs:
    """Predicts with a network that enlarges: `Task.predict`.

    It takes 'lq' where a batch has it, and 'hq' may then be missing; otherwise it degrades 'hq',
    the same image always alike. The outputs are 'image', the enlarged images, as large as 'hq'
    where that is given; 'lq'; and of a network with switched convolutions 'choices': {path: int32
    [n, h, w]}.

    Args:
      model: the network, with a scale.
      degradation: how small images are made.
      variables: of the network.
      batch: see above.
      key: not used.
    """
    del key
    scale: int = model.scale
    lq = degradations.small_images(batch, scale, degradation)
    image, mutated = model.apply(variables, lq, mutable=['intermediates'])
    if 'hq' in batch:
        image = image[:, : batch['hq'].shape[1], : batch['hq'].shape[2]]
    outputs: Outputs = {'image': clip_finite(image), 'lq': lq}
    if switching.settings_of(model):
        outputs['choices'] = switching.choices_by_layer(mutated['intermediates'])
    return outputs


def make_evaluation(config: Section) -> Evaluation:
    """Returns the evaluation of enlarged images by `config.evaluation.protocol`."""
    return join(measure_images(parse_all(config['evaluation']['protocol'])), measure_choices())


def make_panels(model: nn.Module) -> Any:
    """Returns `Task.panels`: what was given, what the network makes of it, and the truth."""

    def panels(batch: Batch, outputs: Outputs) -> Panels:
        given = _repeat_pixels(outputs['lq'], batch['hq'].shape[1])
        found = {'samples': [given, outputs['image'], batch['hq']]}
        return {**found, **draw_selectors(switching.settings_of(model), batch['hq'], outputs)}

    return panels


def _repeat_pixels(images: np.ndarray, size: int) -> np.ndarray:
    """Returns square images with their pixels repeated up to so many a side."""
    factor = -(-size // images.shape[1])
    return images.repeat(factor, axis=1).repeat(factor, axis=2)[:, :size, :size]


def check_enlarger(model: nn.Module, crop_size: int) -> None:
    """Raises InputError unless the network has a scale that divides the side of the crops, and
    takes the small images that they give."""
    if not isinstance(model, Enlarger):
        raise InputError(
            f'config.model.name: {type(model).__name__} has no scale, as networks for '
            f'super-resolution have: take {", ".join(models.names(Enlarger))}'
        )
    if crop_size % model.scale:
        raise InputError(
            f'config.data.crop_size={crop_size} is no multiple of config.model.scale='
            f'{model.scale}: take {-(-crop_size // model.scale) * model.scale}'
        )
    side = model.input_size
    if side and crop_size != side * model.scale:
        raise InputError(
            f'config.data.crop_size={crop_size}: this network makes images of '
            f'{side * model.scale} pixels, of those of {side}: take {side * model.scale}'
        )


def read_degradation(config: Section) -> degradations.Settings:
    """Returns how the small images of a run are made: not at all where its source has pairs.

    `config.degradation` is then passed over, whatever it names, but for keys that there are not.
    Pairs to validate on go with every degradation, and are not degraded.

    Args:
      config: of the run.

    Raises:
      InputError: pairs are wanted and the images to train or to validate on have none; or a key is
        missing, unknown, of the wrong type or out of its range.
    """
    section, data = config['degradation'], config['data']
    source, validation = data['source'], data['validation_source']
    named = section.get('name') == 'paired'
    settings = PairedSettings() if named else degradations.read_settings(section)
    if 'lq' in fields_of(source):
        settings = PairedSettings()
    elif named:
        raise InputError(
            f'config.data.source={source!r} has no small images, and config.degradation.name='
            f"'paired' makes none: give {degradations.PAIRS}, or another degradation"
        )
    if isinstance(settings, PairedSettings) and validation and 'lq' not in fields_of(validation):
        raise InputError(
            f'config.data.validation_source={validation!r} has no small images, and the pairs in '
            f'{source!r} are trained on as they are: give {degradations.PAIRS}, or '
            "config.data.validation_source='' to hold out some"
        )
    return settings
