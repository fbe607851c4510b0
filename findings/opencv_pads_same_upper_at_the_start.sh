#!/bin/sh
# Where padding is odd, the dnn module of OpenCV puts the pixel that is left over at the start for auto_pad=SAME_UPPER,
# which is SAME_LOWER; of SAME_LOWER with an even kernel it makes SAME_UPPER. What JAX and TensorFlow call 'SAME' is the
# first, and jax2onnx writes Flax's convolutions so: layers with a stride of 2 see the image a pixel off. Nothing is
# raised, and the shapes are right.
#
# Version:    opencv-python-headless 5.0.0.93, jax2onnx 0.17.1, jax 0.11.2, flax 0.12.10, onnx 1.23.2, onnxruntime
#             1.32.0, numpy 2.5.5, Python 3.13, 2026-12-01
# Expected:   JAX's numbers, which onnxruntime gives. ONNX says of auto_pad that where padding is odd, "the extra
#             padding is added at the end for SAME_UPPER and at the beginning for SAME_LOWER" (the operators Conv and
#             MaxPool). The kernel writes three pixels as the digits of a number, 0 being padding: of 1 to 8 by steps of
#             2, it is to see 1 2 3 first, and 7 8 and padding last. By steps of 1, padding is even, and all is well.
#             Both of OpenCV's engines give the same.
# Seen:       version 5.0.0
#             3 pixels, by 1, jax2onnx: SAME_UPPER: JAX 12 123 234 345 456 567 678 780, onnxruntime same, OpenCV same
#             3 pixels, by 2, jax2onnx: SAME_UPPER: JAX 123 345 567 780, onnxruntime same, OpenCV 12 234 456 678
#             3 pixels, by 2, SAME_UPPER: onnxruntime 123 345 567 780, OpenCV 12 234 456 678
#             3 pixels, by 2, SAME_LOWER: onnxruntime 12 234 456 678, OpenCV same
#             2 pixels, by 1, SAME_UPPER: onnxruntime 12 23 34 45 56 67 78 80, OpenCV same
#             2 pixels, by 1, SAME_LOWER: onnxruntime 1 12 23 34 45 56 67 78, OpenCV 12 23 34 45 56 67 78 80
#             maximum of 3, by 2, SAME_UPPER: onnxruntime 3 5 7 8, OpenCV 2 4 6 8
# Reported:   not yet
# With us:    nothing depends on it: sr_jax's layers of stride 2 have PyTorch's padding, the same on both sides
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'opencv-python-headless==5.0.0.93' 'jax2onnx==0.17.1' 'jax==0.11.2' 'flax==0.12.10' 'onnx==1.23.2' \
    'onnxruntime==1.32.0' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import cv2
import jax
import numpy as np
import onnxruntime
from flax import nnx
from jax2onnx import to_onnx
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH = 2, 8
IMAGE = np.tile(np.arange(1, WIDTH + 1, dtype=np.float32), (1, 1, HEIGHT, 1))
DIGITS = {3: np.array([[[[100, 10, 1]]]], np.float32), 2: np.array([[[[10, 1]]]], np.float32)}


def run_onnxruntime(program):
    session = onnxruntime.InferenceSession(program.SerializeToString(), providers=['CPUExecutionProvider'])
    return session.run(None, {session.get_inputs()[0].name: IMAGE})[0]


def run_opencv(program):
    given = np.frombuffer(program.SerializeToString(), np.uint8)
    results = []
    for engine in (cv2.dnn.ENGINE_NEW, cv2.dnn.ENGINE_CLASSIC):
        network = cv2.dnn.readNetFromONNX(given, engine)
        network.setInput(IMAGE)
        results.append(network.forward())
    assert np.array_equal(*results)
    return results[0]


def show(name, **results):
    """One row of each; 'same' where it is that of the first."""
    rows = [' '.join(f'{number:g}' for number in np.asarray(result)[0, 0, 0]) for result in results.values()]
    shown = [rows[0]] + ['same' if row == rows[0] else row for row in rows[1:]]
    print(f'{name}: {", ".join(f"{tool} {row}" for tool, row in zip(results, shown))}')


def write(operator, stride, auto_pad, weights=(), **fields):
    inputs = ['x', 'weights'] if len(weights) else ['x']
    node = helper.make_node(operator, inputs, ['y'], auto_pad=auto_pad, strides=[1, stride], **fields)
    graph = helper.make_graph(
        [node],
        operator,
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, IMAGE.shape)],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, 1, HEIGHT, WIDTH // stride])],
        [numpy_helper.from_array(weights, 'weights')] if len(weights) else [],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9)


print('version', cv2.__version__)
for stride in (1, 2):
    layer = nnx.Conv(1, 1, (1, 3), (1, stride), padding='SAME', use_bias=False, rngs=nnx.Rngs(0))
    layer.kernel.set_value(DIGITS[3].transpose(2, 3, 1, 0))

    def convolve(x):
        return layer(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)

    program = to_onnx(convolve, [jax.ShapeDtypeStruct(IMAGE.shape, IMAGE.dtype)])
    (node,) = (node for node in program.graph.node if node.op_type == 'Conv')
    (auto_pad,) = (field.s.decode() for field in node.attribute if field.name == 'auto_pad')
    show(
        f'3 pixels, by {stride}, jax2onnx: {auto_pad}',
        JAX=convolve(IMAGE),
        onnxruntime=run_onnxruntime(program),
        OpenCV=run_opencv(program),
    )
for side, stride in ((3, 2), (2, 1)):
    for auto_pad in ('SAME_UPPER', 'SAME_LOWER'):
        program = write('Conv', stride, auto_pad, DIGITS[side])
        show(
            f'{side} pixels, by {stride}, {auto_pad}',
            onnxruntime=run_onnxruntime(program),
            OpenCV=run_opencv(program),
        )
program = write('MaxPool', 2, 'SAME_UPPER', kernel_shape=[1, 3])
show('maximum of 3, by 2, SAME_UPPER', onnxruntime=run_onnxruntime(program), OpenCV=run_opencv(program))
END

found=$(JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 5.0.0
3 pixels, by 1, jax2onnx: SAME_UPPER: JAX 12 123 234 345 456 567 678 780, onnxruntime same, OpenCV same
3 pixels, by 2, jax2onnx: SAME_UPPER: JAX 123 345 567 780, onnxruntime same, OpenCV 12 234 456 678
3 pixels, by 2, SAME_UPPER: onnxruntime 123 345 567 780, OpenCV 12 234 456 678
3 pixels, by 2, SAME_LOWER: onnxruntime 12 234 456 678, OpenCV same
2 pixels, by 1, SAME_UPPER: onnxruntime 12 23 34 45 56 67 78 80, OpenCV same
2 pixels, by 1, SAME_LOWER: onnxruntime 1 12 23 34 45 56 67 78, OpenCV 12 23 34 45 56 67 78 80
maximum of 3, by 2, SAME_UPPER: onnxruntime 3 5 7 8, OpenCV 2 4 6 8'
