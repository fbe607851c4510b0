#!/bin/sh
# The ONNX program that jax2onnx makes of jax.image.resize takes other pixels than JAX with the method 'nearest', and
# has other borders with 'cubic': half of an image is the left pixel of each two, where JAX takes the right one, so that
# the whole lies beside its place. Nothing is raised. The same function imported by its name is exported well.
#
# Version:    jax2onnx 0.17.1, jax 0.11.2, flax 0.12.10, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.5.5, Python 3.13,
#             2026-11-30
# Expected:   JAX's numbers, or an exception. jax2onnx' page on known limitations says that the exported model
#             "represents the traced callable behavior", and of numbers that small differences can occur; what it lacks
#             of resizing it refuses (NotImplementedError: antialias=True, lanczos3), and 'linear' and 'cubic-pytorch'
#             are JAX's to the last digits. ONNX's Resize can do both: what is written has nearest_mode
#             'round_prefer_floor', where JAX takes the later of two pixels that are equally near, and lacks
#             exclude_outside, so that 'cubic' repeats the edge, where JAX leaves out what is beyond it. With
#             'round_prefer_ceil' and exclude_outside=1 in these nodes, the numbers are JAX's.
#             jax2onnx writes Resize where jax.image.resize is looked up during the export, as its guide advises; the
#             imported name is followed into JAX, and written as the operators found there.
# Seen:       version 0.17.1
#             nearest, 8 to 4:
#                 JAX: 10 30 50 70
#                 jax.image.resize: 0 20 40 60; reference the same: True
#                 from jax.image import resize: 10 30 50 70; reference the same: True
#             nearest, 8 to 5:
#                 JAX: 0 20 40 50 70
#                 jax.image.resize: 0 20 30 50 70; reference the same: True
#                 from jax.image import resize: 0 20 40 50 70; reference the same: True
#             nearest, 8 to 12:
#                 JAX: 0 10 10 20 30 30 40 50 50 60 70 70
#                 jax.image.resize: 0 0 10 20 20 30 40 40 50 60 60 70; reference the same: True
#                 from jax.image import resize: 0 10 10 20 30 30 40 50 50 60 70 70; reference the same: True
#             linear, 8 to 4:
#                 JAX: 5 25 45 65
#                 jax.image.resize: 5 25 45 65; reference the same: True
#                 from jax.image import resize: 5 25 45 65; reference the same: True
#             cubic, 8 to 4:
#                 JAX: 4.1 25 45 65.9
#                 jax.image.resize: 4.4 25 45 65.6; reference the same: True
#                 from jax.image import resize: 4.1 25 45 65.9; reference the same: True
#             cubic-pytorch, 8 to 4:
#                 JAX: 4.1 25 45 65.9
#                 jax.image.resize: 4.1 25 45 65.9; reference the same: True
#                 from jax.image import resize: 4.1 25 45 65.9; reference the same: True
# Reported:   not yet
# With us:    nothing depends on it: sr_jax/inference/exported.py gives jax2onnx a network that JAX has traced before,
#             and compares the images
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
from jax.image import resize as imported
from jax2onnx import to_onnx
from onnx.reference import ReferenceEvaluator

PROVIDERS = ['CPUExecutionProvider']


def describe(images):
    return ' '.join(f'{round(float(number), 1):g}' for number in images[0])


logging.disable(logging.WARNING)
settings = onnxruntime.SessionOptions()
settings.log_severity_level = 3
print('version', metadata.version('jax2onnx'))
x = np.tile(np.arange(0, 80, 10, dtype=np.float32), (4, 1))
for method, width in (
    ('nearest', 4),
    ('nearest', 5),
    ('nearest', 12),
    ('linear', 4),
    ('cubic', 4),
    ('cubic-pytorch', 4),
):
    options = {'shape': (4, width), 'method': method, 'antialias': False}
    print(f'{method}, {x.shape[1]} to {width}:')
    print('    JAX:', describe(jax.image.resize(x, **options)))
    for name, resize in (
        ('jax.image.resize', lambda x: jax.image.resize(x, **options)),
        ('from jax.image import resize', lambda x: imported(x, **options)),
    ):
        program = to_onnx(resize, [x.shape])
        given = {program.graph.input[0].name: x}
        session = onnxruntime.InferenceSession(program.SerializeToString(), settings, PROVIDERS)
        (found,) = session.run(None, given)
        (reference,) = ReferenceEvaluator(program).run(None, given)
        print(f'    {name}: {describe(found)}; reference the same: {np.allclose(found, reference, atol=1e-4)}')
END

found=$(JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 0.17.1
nearest, 8 to 4:
    JAX: 10 30 50 70
    jax.image.resize: 0 20 40 60; reference the same: True
    from jax.image import resize: 10 30 50 70; reference the same: True
nearest, 8 to 5:
    JAX: 0 20 40 50 70
    jax.image.resize: 0 20 30 50 70; reference the same: True
    from jax.image import resize: 0 20 40 50 70; reference the same: True
nearest, 8 to 12:
    JAX: 0 10 10 20 30 30 40 50 50 60 70 70
    jax.image.resize: 0 0 10 20 20 30 40 40 50 60 60 70; reference the same: True
    from jax.image import resize: 0 10 10 20 30 30 40 50 50 60 70 70; reference the same: True
linear, 8 to 4:
    JAX: 5 25 45 65
    jax.image.resize: 5 25 45 65; reference the same: True
    from jax.image import resize: 5 25 45 65; reference the same: True
cubic, 8 to 4:
    JAX: 4.1 25 45 65.9
    jax.image.resize: 4.4 25 45 65.6; reference the same: True
    from jax.image import resize: 4.1 25 45 65.9; reference the same: True
cubic-pytorch, 8 to 4:
    JAX: 4.1 25 45 65.9
    jax.image.resize: 4.1 25 45 65.9; reference the same: True
    from jax.image import resize: 4.1 25 45 65.9; reference the same: True'
