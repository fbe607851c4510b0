"""Golden fixtures of switched layers in our names and layouts, and random convolutions."""

import json

import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from sr_jax.kernels.switched_conv.cases import Case

# Layers of a coupler by the names that PyTorch gives them, and by ours.
COUPLERS = {
    'standard': {'coupler': 'conv'},
    'lambda': {'coupler.0': 'norm', 'coupler.1': 'lambda', 'coupler.3': 'conv'},
    'lambda2': {
        'coupler.0': 'lambda_0',
        'coupler.1': 'norm_0',
        'coupler.3': 'lambda_1',
        'coupler.4': 'norm_1',
        'coupler.6': 'conv',
    },
    'bn_lambda': {
        'coupler.0': 'conv_in',
        'coupler.1': 'norm_in',
        'coupler.3': 'lambda',
        'coupler.4': 'norm',
        'coupler.6': 'conv',
    },
}
BUFFERS = {'running_mean': 'mean', 'running_var': 'var'}


def hyperparameters(arrays):
    return json.loads(str(arrays['meta/json']))['hp']


def selector_params(arrays, network, prefix='param/'):
    """Parameters of a selector, or with prefix 'grad/param/' their gradients."""
    flat = {}
    for theirs, ours in COUPLERS[network].items():
        start = f'{prefix}{theirs}.'
        for key in arrays:
            if not key.startswith(start):
                continue
            path, value = _ours(key.removeprefix(start), np.asarray(arrays[key], np.float32))
            flat[ours, *path] = value
    return traverse_util.unflatten_dict(flat)


def _ours(name, value):
    """Path and value, in our layout, of a parameter by its name within its PyTorch layer."""
    *layer, kind = name.split('.')
    if layer == ['pos_conv']:
        if kind == 'bias':
            return ('position_bias',), value
        return ('position_kernel',), value[:, 0].transpose(2, 3, 1, 0)
    if kind == 'bias':
        return (*layer, 'bias'), value
    if value.ndim == 1:
        return (*layer, 'scale'), value
    if layer and layer[0].startswith('to_'):
        return (*layer, 'kernel'), value[:, :, 0, 0].T
    return (*layer, 'kernel'), value.transpose(2, 3, 1, 0)


def batch_stats(arrays, network, prefix='buffer/'):
    """The running averages of a selector's batch norms."""
    flat = {}
    for theirs, ours in COUPLERS[network].items():
        start = f'{prefix}{theirs}.'
        for key in arrays:
            *layer, kind = key.removeprefix(start).split('.')
            if key.startswith(start) and kind in BUFFERS:
                flat[ours, *layer, BUFFERS[kind]] = np.asarray(arrays[key], np.float32)
    return traverse_util.unflatten_dict(flat)


def switch_norm(arrays, prefix):
    """The rotating buffer; `prefix` ends where 'accumulator' begins."""
    return {
        'buffer': jnp.asarray(arrays[f'{prefix}accumulator'], jnp.float32),
        'index': jnp.asarray(arrays[f'{prefix}accumulator_index'][0], jnp.int32),
        'filled': jnp.asarray(arrays[f'{prefix}accumulator_filled'][0] > 0),
    }


def kernels(arrays, prefix):
    """The kernels of a switched convolution and its bias, which may be None."""
    weight = arrays[f'{prefix}weight'].transpose(2, 3, 4, 1, 0)
    bias = arrays.get(f'{prefix}bias')
    weight = jnp.asarray(np.ascontiguousarray(weight, np.float32))
    return weight, None if bias is None else jnp.asarray(bias.astype(np.float32))


def arguments(case: Case, seed: int = 0, dtype='float32'):
    """Random x, selector, kernel, bias and cotangent of a case."""
    rng = np.random.default_rng(seed)
    images, height, width, channels, features, breadth, size, stride = case
    shape = (images, -(-height // stride), -(-width // stride))
    x = rng.normal(size=(images, height, width, channels))
    kernel = rng.normal(size=(breadth, size, size, channels, features))
    kernel /= size * channels**0.5
    bias, cotangent = rng.normal(size=features), rng.normal(size=(*shape, features))
    selector = jnp.asarray(rng.integers(0, breadth, shape).astype(np.int32))
    # What NumPy has made of that type, no program has to make.
    floats = (jnp.asarray(array.astype(jnp.dtype(dtype))) for array in (x, kernel, bias, cotangent))
    x, kernel, bias, cotangent = floats
    return x, selector, kernel, bias, cotangent
