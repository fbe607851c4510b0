#!/bin/sh
# ONNX Runtime's Resize with antialias=1 turns every negative number of an int8 tensor into 0. A network that
# onnxruntime.quantization makes of 8-bit operators, with activations of int8 (its default), so loses the lower half of
# all features that are resized; nothing is raised, and only the accuracy tells.
#
# Version:    onnxruntime 1.32.0, onnx 1.23.2, numpy 2.5.5, Python 3.13, 2026-11-30
# Expected:   means of the neighbors, as from antialias=0, from floats, and from ONNX's own reference. ONNX's Resize has
#             int8 among its types, and says of antialias that the filter is used "when downscaling", stretched by
#             max(1, 1 / scale), so that scale 2 is as without. What the CPU does not have is refused elsewhere
#             (NOT_IMPLEMENTED: int16).
# Seen:       version 1.32.0
#             linear, scale 0.5, antialias 0: runtime [-110, -70, 70, 110], reference [-110, -70, 70, 110]
#             linear, scale 0.5, antialias 1: runtime [0, 0, 58, 108], reference [-108, -58, 58, 108]
#             linear, scale 2.0, antialias 1: runtime [0, 0, 0, 65], reference [-120, -85, -65, 65]
#             cubic, scale 0.5, antialias 1: runtime [0, 0, 64, 112], reference [-112, -64, 64, 112]
#             convolution and resize: -0.9 -0.5 0.5 0.9
#             quantized, activations of QUInt8: -0.9 -0.5 0.5 0.9
#             quantized, activations of QInt8: 0.0 0.0 0.5 0.9
# Reported:   not yet
# With us:    nothing depends on it: sr_jax/inference/onnx_program writes Resize of floats by 'nearest' only
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'onnxruntime==1.32.0' 'onnx==1.23.2' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import logging
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, save
from onnx.reference import ReferenceEvaluator
from onnxruntime import quantization

FOLDER = sys.argv[1]
logging.disable(logging.WARNING)


def make(nodes, kind, given, **arrays):
    graph = helper.make_graph(
        nodes,
        'shown',
        [helper.make_tensor_value_info('x', kind, given)],
        [helper.make_tensor_value_info('y', kind, None)],
        [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 19)], ir_version=10)


def run(model, x):
    return onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider']).run(None, {'x': x})[0]


def describe(features):
    return ' '.join(f'{number:.1f}' for number in features[0, 0, 0])


class Once(quantization.CalibrationDataReader):
    def __init__(self, x):
        self.batches = iter([{'x': x}])

    def get_next(self):
        return next(self.batches, None)


print('version', onnxruntime.__version__)
row = np.array([-120, -100, -80, -60, 60, 80, 100, 120])
x = np.tile(row, (1, 1, 4, 1))
for mode, scale, antialias in (('linear', 0.5, 0), ('linear', 0.5, 1), ('linear', 2.0, 1), ('cubic', 0.5, 1)):
    resize = helper.make_node('Resize', ['x', '', 'scales'], ['y'], mode=mode, antialias=antialias)
    model = make([resize], TensorProto.INT8, x.shape, scales=[1, 1, scale, scale])
    places = slice(None) if scale < 1 else [0, 4, 6, 9]
    seen = run(model.SerializeToString(), x.astype(np.int8))[0, 0, 0, places].tolist()
    reference = ReferenceEvaluator(model).run(None, {'x': x.astype(np.int8)})[0][0, 0, 0, places].tolist()
    print(f'{mode}, scale {scale}, antialias {antialias}: runtime {seen}, reference {reference}')

x = (x / 120).astype(np.float32)
convolve = helper.make_node('Conv', ['x', 'kernel'], ['same'])  # its only weight is 1
resize = helper.make_node('Resize', ['same', '', 'scales'], ['y'], mode='linear', antialias=1)
save(make([convolve, resize], TensorProto.FLOAT, x.shape, kernel=[[[[1]]]], scales=[1, 1, 0.5, 0.5]), f'{FOLDER}/float')
print('convolution and resize:', describe(run(f'{FOLDER}/float', x)))
for kind in (quantization.QuantType.QUInt8, quantization.QuantType.QInt8):
    quantization.quantize_static(
        f'{FOLDER}/float', f'{FOLDER}/int', Once(x), quantization.QuantFormat.QOperator, activation_type=kind
    )
    print(f'quantized, activations of {kind}:', describe(run(f'{FOLDER}/int', x)))
END

found=$("$folder/venv/bin/python" "$folder/show.py" "$folder")
echo "$found"
test "$found" = 'version 1.32.0
linear, scale 0.5, antialias 0: runtime [-110, -70, 70, 110], reference [-110, -70, 70, 110]
linear, scale 0.5, antialias 1: runtime [0, 0, 58, 108], reference [-108, -58, 58, 108]
linear, scale 2.0, antialias 1: runtime [0, 0, 0, 65], reference [-120, -85, -65, 65]
cubic, scale 0.5, antialias 1: runtime [0, 0, 64, 112], reference [-112, -64, 64, 112]
convolution and resize: -0.9 -0.5 0.5 0.9
quantized, activations of QUInt8: -0.9 -0.5 0.5 0.9
quantized, activations of QInt8: 0.0 0.0 0.5 0.9'
