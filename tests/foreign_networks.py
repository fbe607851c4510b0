"""Weights at random by the names and shapes of other people's networks, and probes of gradients.

The golden fixtures `network_*.npz` were made with the same draws, so that they hold none of the
weights: names and shapes, the image made, the gradient of the image given, and for each parameter
the length of its gradient and its product with a direction at random.
"""

import json

import numpy as np

SHAPE = (2, 3, 9, 14)  # of images given: of no window a multiple
COUNTER = 'num_batches_tracked'


def is_moving(name):
    """Whether an array is none that is trained, but of batch norms' averages."""
    return name.endswith(('running_mean', 'running_var', COUNTER))


def draw(shapes, seed=0):
    """The arrays by name, for pairs of names and shapes."""
    rng = np.random.default_rng(seed)
    return {name: _draw_one(rng, name, tuple(shape)) for name, shape in sorted(shapes)}


def _draw_one(rng, name, shape):
    if name.endswith(COUNTER):
        return np.zeros(shape, np.int64)
    values = rng.standard_normal(shape)
    if name.endswith('running_var'):
        values = 1 + 0.3 * np.tanh(values)
    elif name.endswith('scale'):  # of which only what lies between 0 and 1 counts
        values = 0.5 + 0.3 * np.tanh(values)
    elif len(shape) > 1 and not name.endswith('bias_table'):
        values *= 0.9 / np.sqrt(np.prod(shape[1:]))
    elif name.endswith(('weight', 'temperature')):
        values = 1 + 0.2 * values
    else:
        values *= 0.2
    return values.astype(np.float32)


def draw_images(shape):
    """Images in [0, 1], NCHW."""
    return np.random.default_rng(1).random(shape, np.float32)


def draw_cotangent(shape):
    """What the output's gradient is taken along."""
    return np.random.default_rng(2).standard_normal(shape).astype(np.float32)


def probe(gradients):
    """Of each gradient, by the order of names: its length, and its product with a direction."""
    directions = draw([(name, value.shape) for name, value in gradients.items()], seed=3)
    return np.array(
        [
            (np.linalg.norm(gradients[name]), np.vdot(gradients[name], directions[name]))
            for name in sorted(gradients)
        ]
    )


def read_meta(arrays):
    """What a fixture says of itself."""
    meta = json.loads(str(arrays['meta/json']))
    model = {k: tuple(v) if isinstance(v, list) else v for k, v in meta['model'].items()}
    return {**meta, 'model': model}
