"""Images made darker and back again: the least task that measures and shows images."""

import dataclasses

import jax
import jax.numpy as jnp

from sr_jax import models
from sr_jax.config.binding import bind
from sr_jax.layers import switching
from sr_jax.metrics.protocol import parse_all
from sr_jax.tasks.shared.evaluation import measure_images
from sr_jax.tasks.step import Objective, check_sections, make_step, read_training
from sr_jax.tasks.task import Task


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The section `config.loss`."""

    brightness: float = 0.5


OWN_SECTIONS = {'loss': LossSettings}


def make(config):
    check_sections(config)
    training = read_training(config)
    model = models.make(config.model, dtype=config.dtype, remat=training.remat)
    brightness = bind(LossSettings, config.loss, 'config.loss').brightness
    size = config.data.crop_size

    def init(key, batch):
        return training.start(model.init(key, batch['hq'])['params'], {})

    def loss(params, state, microbatch, key):
        image = model.apply({'params': params}, brightness * microbatch['hq'], train=True)
        value = jnp.mean(jnp.square(image - microbatch['hq']))
        return value, ({'l2': value}, switching.collect_statistics({}), None)

    def predict(variables, batch, key):
        image = model.apply(variables, brightness * batch['hq'])
        return {'image': jnp.clip(image, 0.0, 1.0)}

    return Task(
        batch=lambda n: {'hq': jax.ShapeDtypeStruct((n, size, size, 3), jnp.float32)},
        init=init,
        train_step=make_step(Objective(loss), training),
        predict=predict,
        evaluation=measure_images(parse_all(config.evaluation.protocol)),
        panels=lambda batch, outputs: {'samples': [batch['hq'], outputs['image']]},
        networks={'model': 'model'},
    )
