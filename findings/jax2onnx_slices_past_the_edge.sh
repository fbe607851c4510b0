#!/bin/sh
# Where a patch would reach over the edge, JAX's dynamic_slice takes the last one that lies within; the ONNX program
# that jax2onnx makes of it takes what is left, down to nothing. A mean over the patch is still divided by all of its
# pixels, so that patches at the edges of an image are too dark. Nothing is raised.
#
# Version:    jax2onnx 0.17.1, jax 0.11.2, flax 0.12.10, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.5.5, Python 3.13,
#             2026-11-30
# Expected:   JAX's numbers, or an exception. JAX says of dynamic_slice that "the start index is adjusted to return a
#             slice of the requested size", and jax2onnx' page on known limitations that the exported model "represents
#             the traced callable behavior". What it makes of dynamic_update_slice does, as the last lines show. The
#             program itself declares a patch of 4 numbers. ONNX Runtime logs a warning where the patch is the result
#             (that its shape is not the expected one), and none where the mean or the maximum is.
# Seen:       version 0.17.1
#             the patch, from 2: JAX 30 40 50 60, ONNX 30 40 50 60
#             the patch, from 6: JAX 50 60 70 80, ONNX 70 80
#             the patch, from 9: JAX 50 60 70 80, ONNX nothing
#             its mean, from 2: JAX 45, ONNX 45
#             its mean, from 6: JAX 65, ONNX 37.5
#             its mean, from 9: JAX 65, ONNX 0
#             its maximum, from 2: JAX 60, ONNX 60
#             its maximum, from 6: JAX 80, ONNX 80
#             its maximum, from 9: JAX 80, ONNX -inf
#             written, from 2: JAX 10 20 -10 -20 -30 -40 70 80, ONNX 10 20 -10 -20 -30 -40 70 80
#             written, from 6: JAX 10 20 30 40 -10 -20 -30 -40, ONNX 10 20 30 40 -10 -20 -30 -40
#             written, from 9: JAX 10 20 30 40 -10 -20 -30 -40, ONNX 10 20 30 40 -10 -20 -30 -40
# Reported:   not yet
# With us:    nothing depends on it: sr_jax/layers/in_patches.py lets the last patches begin earlier itself, and
#             sr_jax/inference/exported.py compares the images
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'jax2onnx==0.17.1' 'jax==0.11.2' 'flax==0.12.10' 'onnx==1.23.2' 'onnxruntime==1.32.0' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import logging
from importlib import metadata

import jax
import numpy as np
import onnxruntime
from jax import lax
from jax2onnx import to_onnx

PROVIDERS = ['CPUExecutionProvider']
SIDE = 4


def describe(array):
    return ' '.join(f'{number:g}' for number in np.ravel(array)) or 'nothing'


logging.disable(logging.WARNING)
settings = onnxruntime.SessionOptions()
settings.log_severity_level = 3
print('version', metadata.version('jax2onnx'))
x = np.arange(10, 90, 10, dtype=np.float32)
given = [jax.ShapeDtypeStruct(x.shape, x.dtype), jax.ShapeDtypeStruct((), np.int32)]
for name, function in (
    ('the patch', lambda x, start: lax.dynamic_slice(x, (start,), (SIDE,))),
    ('its mean', lambda x, start: lax.dynamic_slice(x, (start,), (SIDE,)).mean()),
    ('its maximum', lambda x, start: lax.dynamic_slice(x, (start,), (SIDE,)).max()),
    ('written', lambda x, start: lax.dynamic_update_slice(x, -x[:SIDE], (start,))),
):
    program = to_onnx(function, given)
    session = onnxruntime.InferenceSession(program.SerializeToString(), settings, PROVIDERS)
    names = [argument.name for argument in session.get_inputs()]
    for start in (2, 6, 9):
        start = np.array(start, np.int32)
        (found,) = session.run(None, dict(zip(names, (x, start))))
        print(f'{name}, from {start}: JAX {describe(function(x, start))}, ONNX {describe(found)}')
END

found=$(JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 0.17.1
the patch, from 2: JAX 30 40 50 60, ONNX 30 40 50 60
the patch, from 6: JAX 50 60 70 80, ONNX 70 80
the patch, from 9: JAX 50 60 70 80, ONNX nothing
its mean, from 2: JAX 45, ONNX 45
its mean, from 6: JAX 65, ONNX 37.5
its mean, from 9: JAX 65, ONNX 0
its maximum, from 2: JAX 60, ONNX 60
its maximum, from 6: JAX 80, ONNX 80
its maximum, from 9: JAX 80, ONNX -inf
written, from 2: JAX 10 20 -10 -20 -30 -40 70 80, ONNX 10 20 -10 -20 -30 -40 70 80
written, from 6: JAX 10 20 30 40 -10 -20 -30 -40, ONNX 10 20 30 40 -10 -20 -30 -40
written, from 9: JAX 10 20 30 40 -10 -20 -30 -40, ONNX 10 20 30 40 -10 -20 -30 -40'
