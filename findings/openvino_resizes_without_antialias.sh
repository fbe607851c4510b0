#!/bin/sh
# OpenVINO opens an ONNX program with Resize and leaves out what two of its attributes ask for: with antialias=1 images
# are shrunk without antialiasing, so that fine stripes become coarse ones, and with exclude_outside=1, as bicubic
# filters of JAX and TensorFlow treat borders, pixels outside count as repeated ones. Nothing is raised or logged.
#
# Version:    openvino 2026.4.1, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.5.5, Python 3.13, 2026-12-01
# Expected:   what ONNX' reference and onnxruntime give, which agree, or an exception, as OpenVINO raises where it does
#             not know a coordinate_transformation_mode. ONNX says that with antialias "linear" and "cubic" modes use an
#             antialiasing filter when downscaling, and with exclude_outside "the weight of sampling locations outside
#             the tensor will be set to 0 and the weight will be renormalized". A mean of stripes is half of 0 and 100.
#             With both attributes at 0, all three agree.
# Seen:       version 2026.4.1
#             stripes to a third, mode=linear, antialias=0:
#                 reference: 100 0 100 0 100 0 100 0
#                 onnxruntime: 100 0 100 0 100 0 100 0
#                 OpenVINO: 100 0 100 0 100 0 100 0
#             stripes to a third, mode=linear, antialias=1:
#                 reference: 44.4 44.4 55.6 44.4 55.6 44.4 55.6 55.6
#                 onnxruntime: 44.4 44.4 55.6 44.4 55.6 44.4 55.6 55.6
#                 OpenVINO: 100 0 100 0 100 0 100 0
#             stripes to a third, mode=cubic, antialias=0:
#                 reference: 100 0 100 0 100 0 100 0
#                 onnxruntime: 100 0 100 0 100 0 100 0
#                 OpenVINO: 100 0 100 0 100 0 100 0
#             stripes to a third, mode=cubic, antialias=1:
#                 reference: 42 51.2 50.6 49.4 50.6 49.4 48.8 58
#                 onnxruntime: 42 51.2 50.6 49.4 50.6 49.4 48.8 58
#                 OpenVINO: 100 0 100 0 100 0 100 0
#             edges to twice, mode=cubic, exclude_outside=0:
#                 reference: 110.5 77.3 22.7 -10.5 -3.5 0 0 -3.5 -10.5 22.7 77.3 110.5
#                 onnxruntime: 110.5 77.3 22.7 -10.5 -3.5 0 0 -3.5 -10.5 22.7 77.3 110.5
#                 OpenVINO: 110.5 77.3 22.7 -10.5 -3.5 0 0 -3.5 -10.5 22.7 77.3 110.5
#             edges to twice, mode=cubic, exclude_outside=1:
#                 reference: 113.6 79.5 25.3 -10.5 -3.5 0 0 -3.5 -10.5 25.3 79.5 113.6
#                 onnxruntime: 113.6 79.5 25.3 -10.5 -3.5 0 0 -3.5 -10.5 25.3 79.5 113.6
#                 OpenVINO: 110.5 77.3 22.7 -10.5 -3.5 0 0 -3.5 -10.5 22.7 77.3 110.5
# Reported:   openvinotoolkit/openvino issue 35893 describes it for antialias and mode="cubic", open since 2026
# With us:    nothing depends on it: sr_jax/inference/onnx_program writes Resize by mode 'nearest' only
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'openvino==2026.4.1' 'onnx==1.23.2' 'onnxruntime==1.32.0' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

HEIGHT = 4


def resize(row, width, mode, attribute, value):
    """The row of an image, resized by the reference, by onnxruntime and by OpenVINO."""
    image = np.tile(np.array(row, np.float32), (1, 1, HEIGHT, 1))
    size = 1, 1, HEIGHT, width
    node = helper.make_node('Resize', ['image', '', '', 'size'], ['resized'], mode=mode, **{attribute: value})
    graph = helper.make_graph(
        [node],
        'resize',
        [helper.make_tensor_value_info('image', TensorProto.FLOAT, image.shape)],
        [helper.make_tensor_value_info('resized', TensorProto.FLOAT, size)],
        [helper.make_tensor('size', TensorProto.INT64, [4], size)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 19)], ir_version=9)
    program = model.SerializeToString()
    yield 'reference', ReferenceEvaluator(model).run(None, {'image': image})[0]
    session = onnxruntime.InferenceSession(program, providers=['CPUExecutionProvider'])
    yield 'onnxruntime', session.run(None, {'image': image})[0]
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(program), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    yield 'OpenVINO', compiled({'image': image})[0]


STRIPES = [0, 100] * 12
EDGE = [100, 0, 0, 0, 0, 100]
print('version', openvino.__version__.split('-')[0])
for name, row, width, attribute, modes in (
    ('stripes to a third', STRIPES, 8, 'antialias', ('linear', 'cubic')),
    ('edges to twice', EDGE, 12, 'exclude_outside', ('cubic',)),
):
    for mode in modes:
        for value in (0, 1):
            print(f'{name}, mode={mode}, {attribute}={value}:')
            for who, image in resize(row, width, mode, attribute, value):
                print(f'    {who}:', *(f'{number + 0:g}' for number in np.round(image[0, 0, 1], 1)))
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 2026.4.1
stripes to a third, mode=linear, antialias=0:
    reference: 100 0 100 0 100 0 100 0
    onnxruntime: 100 0 100 0 100 0 100 0
    OpenVINO: 100 0 100 0 100 0 100 0
stripes to a third, mode=linear, antialias=1:
    reference: 44.4 44.4 55.6 44.4 55.6 44.4 55.6 55.6
    onnxruntime: 44.4 44.4 55.6 44.4 55.6 44.4 55.6 55.6
    OpenVINO: 100 0 100 0 100 0 100 0
stripes to a third, mode=cubic, antialias=0:
    reference: 100 0 100 0 100 0 100 0
    onnxruntime: 100 0 100 0 100 0 100 0
    OpenVINO: 100 0 100 0 100 0 100 0
stripes to a third, mode=cubic, antialias=1:
    reference: 42 51.2 50.6 49.4 50.6 49.4 48.8 58
    onnxruntime: 42 51.2 50.6 49.4 50.6 49.4 48.8 58
    OpenVINO: 100 0 100 0 100 0 100 0
edges to twice, mode=cubic, exclude_outside=0:
    reference: 110.5 77.3 22.7 -10.5 -3.5 0 0 -3.5 -10.5 22.7 77.3 110.5
    onnxruntime: 110.5 77.3 22.7 -10.5 -3.5 0 0 -3.5 -10.5 22.7 77.3 110.5
    OpenVINO: 110.5 77.3 22.7 -10.5 -3.5 0 0 -3.5 -10.5 22.7 77.3 110.5
edges to twice, mode=cubic, exclude_outside=1:
    reference: 113.6 79.5 25.3 -10.5 -3.5 0 0 -3.5 -10.5 25.3 79.5 113.6
    onnxruntime: 113.6 79.5 25.3 -10.5 -3.5 0 0 -3.5 -10.5 25.3 79.5 113.6
    OpenVINO: 110.5 77.3 22.7 -10.5 -3.5 0 0 -3.5 -10.5 22.7 77.3 110.5'
