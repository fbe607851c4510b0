#!/bin/sh
# dm_pix' rotate turns an image that has its channels first about the wrong axes: channels and rows instead of rows and
# columns, so that red, green and blue become mixtures of each other. Nothing is raised, and the shape stays.
#
# Version:    dm_pix 0.4.5, jax 0.12.0.1, numpy 2.5.5, Python 3.13, 2026-11-30
# Expected:   the same image from both layouts, or an exception. The docstring of rotate says of its image that it
#             "Assumes that the image is either HWC or CHW", as that of flip_left_right does, which has a channel_axis;
#             rotate has none, and does not look. An image of a single color, turned with its borders repeated, stays
#             as it is. The other image has a step from 0 to 1 between its rows, which a quarter turn puts between its
#             columns.
# Seen:       version 0.4.5
#             one color by a quarter, HWC: red 1.00 to 1.00, green 0.50 to 0.50, blue 0.00 to 0.00
#             one color by a quarter, CHW: red 0.00 to 1.00, green 0.00 to 1.00, blue 0.00 to 1.00
#             one color by 0.1 radians, HWC: red 1.00 to 1.00, green 0.50 to 0.50, blue 0.00 to 0.00
#             one color by 0.1 radians, CHW: red 0.82 to 1.00, green 0.33 to 0.67, blue 0.00 to 0.18
#             step by a quarter, HWC: between columns True
#             step by a quarter, CHW: between columns False
# Reported:   not yet; google-deepmind/dm_pix issues 111 and 117 say it of the random flips (fixed after 0.4.5)
# With us:    nothing depends on it: sr_jax turns and flips by itself (sr_jax/data/augmentation.py)
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'dm_pix==0.4.5' 'jax==0.12.0.1' 'jaxlib==0.12.0.1' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
from importlib.metadata import version

import dm_pix
import numpy as np

SIDE = 8


def turn(image, angle, layout):
    """The image, which is HWC, turned in the layout, and made HWC again."""
    if layout == 'HWC':
        return np.asarray(dm_pix.rotate(image, angle))
    return np.asarray(dm_pix.rotate(image.transpose(2, 0, 1), angle)).transpose(1, 2, 0)


def describe(image):
    ends = zip(('red', 'green', 'blue'), image.min((0, 1)), image.max((0, 1)))
    return ', '.join(f'{name} {abs(least):.2f} to {greatest:.2f}' for name, least, greatest in ends)


print('version', version('dm_pix'))
color = np.full((SIDE, SIDE, 3), (1, 0.5, 0), np.float32)
for name, angle in (('a quarter', np.pi / 2), ('0.1 radians', 0.1)):
    for layout in ('HWC', 'CHW'):
        print(f'one color by {name}, {layout}: {describe(turn(color, angle, layout))}')
step = np.zeros((SIDE, SIDE, 3), np.float32)
step[SIDE // 2 :] = 1
for layout in ('HWC', 'CHW'):
    turned = turn(step, np.pi / 2, layout)
    expected = np.rot90(step)
    print(f'step by a quarter, {layout}: between columns {np.allclose(turned, expected, atol=1e-3)}')
END

found=$(JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 0.4.5
one color by a quarter, HWC: red 1.00 to 1.00, green 0.50 to 0.50, blue 0.00 to 0.00
one color by a quarter, CHW: red 0.00 to 1.00, green 0.00 to 1.00, blue 0.00 to 1.00
one color by 0.1 radians, HWC: red 1.00 to 1.00, green 0.50 to 0.50, blue 0.00 to 0.00
one color by 0.1 radians, CHW: red 0.82 to 1.00, green 0.33 to 0.67, blue 0.00 to 0.18
step by a quarter, HWC: between columns True
step by a quarter, CHW: between columns False'
