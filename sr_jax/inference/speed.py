"""About how long a network takes for an image on this machine, without running it.

The operations of the network are counted by XLA, from what JAX traces; how many a second the
machine does is measured once, by two convolutions of 64 features.
"""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np

from sr_jax.errors import InputError
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.inference.programs import Form, apply_network, make_module

SIDE = 96  # pixels of the image that a network is traced with
FEATURES, PROBE_SIDE = 64, 128  # of the convolutions that are timed
PROBES, LEAST_SECONDS = 3, 0.05


def seconds_per_megapixel(network: LoadedNetwork) -> float:
    """About how many seconds an image of a million pixels takes, without compilation and files.

    Raises:
      InputError: the network does not enlarge images.
    """
    return count_operations(network) * 1e6 / measure_machine()


def count_operations(network: LoadedNetwork) -> float:
    """The floating-point operations of a network for each pixel of an image.

    Raises:
      InputError: the network does not enlarge images, or XLA does not count here.
    """
    module = make_module(network, 'float32')
    channels = module.example(1).shape[-1]
    side = module.input_size or -(-SIDE // module.multiple) * module.multiple
    images = jax.ShapeDtypeStruct((1, side, side, max(channels, 3)), jnp.float32)
    valid = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    # Blocks are written out: of a loop XLA counts one turn.
    fixed = (module, images.shape[-1], network.source, True, Form())
    apply = functools.partial(apply_network, *fixed)
    variables = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), network.variables
    )
    found = jax.jit(apply).lower(variables, images, valid).cost_analysis()
    if not found or 'flops' not in found:
        raise InputError(f'{network.source}: its operations are not counted on this device')
    return float(found['flops']) / side**2


@functools.cache
def measure_machine() -> float:
    """The floating-point operations a second of one device, in convolutions; measured once."""
    kernel = jnp.full((3, 3, FEATURES, FEATURES), 0.01, jnp.float32)
    image = jnp.ones((1, PROBE_SIDE, PROBE_SIDE, FEATURES), jnp.float32)

    def convolve(image: jax.Array, kernel: jax.Array) -> jax.Array:
        for _ in range(2):
            image = jax.lax.conv_general_dilated(
                image, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
            )
        return image

    compiled = jax.jit(convolve).lower(image, kernel).compile()
    compiled(image, kernel).block_until_ready()
    best = np.inf
    for _ in range(PROBES):
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < LEAST_SECONDS:
            compiled(image, kernel).block_until_ready()
            count += 1
        best = min(best, (time.perf_counter() - begin) / count)
    return 2 * 2 * 9 * FEATURES**2 * PROBE_SIDE**2 / best
