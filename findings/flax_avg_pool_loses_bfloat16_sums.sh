#!/bin/sh
# Flax's avg_pool of bfloat16 gives 0.25 for an image of 64 x 64 pixels, be its mean 0.5 or 0.7: the sum over the window
# is kept in bfloat16, where it soon stops to grow. Global pooling, as in channel attention, so says nothing any more.
#
# Version:    flax 0.12.12, jax 0.12.0.1 on the CPU, numpy 2.5.5, Python 3.13, 2026-12-01
# Expected:   the mean to the nearest bfloat16, off by 0.002 at most, as from jax.numpy.mean, which sums half precision
#             in float32. The documentation of avg_pool says of what it returns "The average for each window slice", and
#             of types nothing. The images are noise around 0.5 and around 0.7, the window is the whole image. That the
#             sum is of bfloat16 stands in the program that Flax makes (the last line), so it is no whim of a compiler.
# Seen:       version 0.12.12
#             window 8: linen 0.50 0.69, nnx 0.50 0.69, jax.numpy.mean 0.50 0.70
#             window 16: linen 0.51 0.80, nnx 0.51 0.80, jax.numpy.mean 0.52 0.71
#             window 24: linen 0.45 0.45, nnx 0.45 0.45, jax.numpy.mean 0.51 0.71
#             window 32: linen 0.25 0.25, nnx 0.25 0.25, jax.numpy.mean 0.50 0.71
#             window 64: linen 0.25 0.25, nnx 0.25 0.25, jax.numpy.mean 0.50 0.70
#             window 64 of float32: linen 0.50 0.70, nnx 0.50 0.70, jax.numpy.mean 0.50 0.70
#             the window's sum is of bf16
# Reported:   not yet
# With us:    sr_jax takes the mean of whole maps (sr_jax/layers/channel_attention.py); its avg_pool is of 3 x 3 only
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'flax==0.12.12' 'jax==0.12.0.1' 'jaxlib==0.12.0.1' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import re

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen, nnx

MEANS = 0.5, 0.7


def make(mean, side, dtype):
    noise = np.random.default_rng(0).uniform(mean - 0.2, mean + 0.2, (1, side, side, 1))
    return jnp.asarray(noise, dtype)


def describe(pool, side, dtype):
    return ' '.join(f'{float(pool(make(mean, side, dtype)).squeeze()):.2f}' for mean in MEANS)


def show(side, dtype):
    shape = side, side
    linens = describe(lambda image: linen.avg_pool(image, shape), side, dtype)
    nnxs = describe(lambda image: nnx.avg_pool(image, shape), side, dtype)
    return f'linen {linens}, nnx {nnxs}, jax.numpy.mean {describe(jnp.mean, side, dtype)}'


print('version', flax.__version__)
for side in (8, 16, 24, 32, 64):
    print(f'window {side}: {show(side, jnp.bfloat16)}')
print(f'window 64 of float32: {show(64, jnp.float32)}')
program = jax.jit(lambda image: linen.avg_pool(image, (64, 64))).lower(make(0.5, 64, jnp.bfloat16)).as_text()
print("the window's sum is of", re.search(r'stablehlo\.add .*tensor<(\w+)>', program)[1])
END

found=$(JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 0.12.12
window 8: linen 0.50 0.69, nnx 0.50 0.69, jax.numpy.mean 0.50 0.70
window 16: linen 0.51 0.80, nnx 0.51 0.80, jax.numpy.mean 0.52 0.71
window 24: linen 0.45 0.45, nnx 0.45 0.45, jax.numpy.mean 0.51 0.71
window 32: linen 0.25 0.25, nnx 0.25 0.25, jax.numpy.mean 0.50 0.71
window 64: linen 0.25 0.25, nnx 0.25 0.25, jax.numpy.mean 0.50 0.70
window 64 of float32: linen 0.50 0.70, nnx 0.50 0.70, jax.numpy.mean 0.50 0.70
the window'\''s sum is of bf16'
