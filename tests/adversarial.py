"""Tiny trainings against a tiny discriminator."""

import jax
import numpy as np
import tiny

from sr_jax import tasks
from sr_jax.devices import sharding

MESH = sharding.make_mesh(jax.devices()[:1])
SIZE = 8
RATE = 1e-3


def config_of(batch_norm=True, **changes):
    config = tiny.gan()
    config.model = dict(name='srresnet', scale=4, features=4, num_blocks=1)
    config.discriminator = dict(name='discriminators', batch_norm=batch_norm)
    config.data.crop_size = SIZE
    rates = dict(learning_rate=RATE, schedule='constant', milestones=())
    config.optimizer.update(rates, ema_decay=0.9)
    config.discriminator_optimizer.update(rates)
    return tiny.changed(config, **changes)


def images(count=4, size=SIZE, seed=0):
    return {'hq': tiny.images(count, size, seed)}


def start(config, mesh=MESH):
    task = tasks.make(config)
    # Compiled for one device, whatever the mesh.
    tree = tiny.started(task, MESH, config.seed)
    return task, jax.device_put(jax.device_get(tree), sharding.replicated_sharding(mesh))


def run(config, count=1, mesh=MESH, batch=None):
    """Returns the train states from the start on, each step's metrics, and the compiled step."""
    task, tree = start(config, mesh)
    batch = sharding.put_batch(batch or images(size=config.data.crop_size), mesh)
    step = tiny.compiled(sharding.jit_step(task.train_step, mesh), tree, batch)
    states, history = [jax.device_get(tree['state'])], []
    for _ in range(count):
        tree, metrics = step(tree, batch)
        states.append(jax.device_get(tree['state']))
        history.append(jax.device_get(metrics))
    return states, history, step


def same(tree, other, **tolerances):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerances), tree, other)
