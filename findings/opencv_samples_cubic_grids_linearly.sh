#!/bin/sh
# The dnn module of OpenCV computes ONNX's GridSample with mode='cubic', the bicubic grid_sample of PyTorch, as linear:
# a network for video that warps frames by their flow with it gives blurred frames. Nothing is raised or logged.
#
# Version:    opencv-python-headless 5.0.0.93, onnx 1.23.2, onnxruntime 1.32.0, numpy 2.5.5, Python 3.13, 2026-12-01
# Expected:   what onnxruntime gives, or an exception, as OpenCV raises where it does not know an operator. ONNX has
#             "three interpolation modes: linear (default), nearest and cubic"; the formula computed here is Keys'
#             (1981) with a = -0.75, as ONNX' reference and PyTorch have it. The image is one column of 100, moved by a
#             quarter of a pixel; the stripes are 4 pixels wide, and moved by half of one. Both engines of OpenCV give
#             the same.
# Seen:       version 5.0.0
#             linear: formula 0 25 75 0, onnxruntime 0 25 75 0, OpenCV 0 25 75 0
#             cubic: formula -3.52 26.17 87.89 -10.55, onnxruntime -3.52 26.17 87.89 -10.55, OpenCV 0 25 75 0
#             contrast of stripes, cubic: onnxruntime 97%, OpenCV 71%
# Reported:   not yet
# With us:    nothing depends on it: no network of sr_jax warps by cubic filters, and no OpenCV is used
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'opencv-python-headless==5.0.0.93' 'onnx==1.23.2' 'onnxruntime==1.32.0' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import cv2
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

HEIGHT, WIDTH, EDGE = 6, 48, 20  # pixels so far from the edges know nothing of them


def sample(image, shift, mode):
    """The image at places `shift` pixels further right, by onnxruntime and by OpenCV."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    grid = np.stack([2 * (x + shift) / WIDTH - 1, 2 * y / HEIGHT - 1], -1).astype(np.float32)[None]
    node = helper.make_node('GridSample', ['image', 'grid'], ['sampled'], mode=mode, padding_mode='border')
    names = {'image': image.shape, 'grid': grid.shape}
    graph = helper.make_graph(
        [node],
        'warp',
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in names.items()],
        [helper.make_tensor_value_info('sampled', TensorProto.FLOAT, image.shape)],
    )
    program = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], ir_version=9)
    program = program.SerializeToString()
    session = onnxruntime.InferenceSession(program, providers=['CPUExecutionProvider'])
    (expected,) = session.run(None, {'image': image, 'grid': grid})
    results = []
    for engine in (cv2.dnn.ENGINE_NEW, cv2.dnn.ENGINE_CLASSIC):
        network = cv2.dnn.readNetFromONNX(np.frombuffer(program, np.uint8), engine)
        network.setInput(image, 'image')
        network.setInput(grid, 'grid')
        results.append(network.forward())
    assert np.array_equal(*results)
    return expected, results[0]


def weigh(image, shift, mode):
    """The same for 0 <= shift < 1, except at the edges, by the formula of the kernel."""
    a, result = -0.75, np.zeros_like(image)
    for tap in range(-1, 3):
        away = abs(tap - shift)
        if mode == 'linear':
            weight = max(1 - away, 0)
        elif away <= 1:
            weight = (a + 2) * away**3 - (a + 3) * away**2 + 1
        else:
            weight = a * away**3 - 5 * a * away**2 + 8 * a * away - 4 * a
        result += np.float32(weight) * np.roll(image, -tap, -1)
    return result


def describe(image):
    return ' '.join(f'{number + 0:g}' for number in np.round(image[0, 0, HEIGHT // 2, EDGE : EDGE + 4], 2))


print('version', cv2.__version__)
row = np.zeros(WIDTH, np.float32)
row[EDGE + 2] = 100
image = np.tile(row, (1, 1, HEIGHT, 1))
for mode in ('linear', 'cubic'):
    expected, found = sample(image, 0.25, mode)
    print(
        f'{mode}: formula {describe(weigh(image, 0.25, mode))}, '
        f'onnxruntime {describe(expected)}, OpenCV {describe(found)}'
    )
stripes = np.tile(np.cos(np.arange(WIDTH, dtype=np.float32) * np.pi / 2), (1, 1, HEIGHT, 1))
contrast = [
    np.sqrt(2 * np.mean(warped[..., EDGE : EDGE + 8] ** 2)) for warped in sample(stripes, 0.5, 'cubic')
]
print(f'contrast of stripes, cubic: onnxruntime {contrast[0]:.0%}, OpenCV {contrast[1]:.0%}')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 5.0.0
linear: formula 0 25 75 0, onnxruntime 0 25 75 0, OpenCV 0 25 75 0
cubic: formula -3.52 26.17 87.89 -10.55, onnxruntime -3.52 26.17 87.89 -10.55, OpenCV 0 25 75 0
contrast of stripes, cubic: onnxruntime 97%, OpenCV 71%'
