#!/bin/sh
# Pillow's rotate and transform read an image of 16 bits as one of bytes where the filter is BILINEAR or BICUBIC.
#
# Version:    pillow 13.0.0, numpy 2.5.5, Python 3.13, 2026-11-29
# Expected:   1000 in the middle of an image that is 1000 everywhere, from each mode and filter, or an exception. Of the
#             filter, rotate and transform say that it is NEAREST if the image has mode "1" or "P"; of I;16 they say
#             nothing. That the handbook (Concepts, Modes) calls the support for I;16 limited shows elsewhere as
#             "ValueError: image has wrong mode". resize takes I;16 with every filter, and I and F are rotated well.
#             1000 is the bytes 232 and 3: their mean is what comes out, in 16 bits, of another place of the image.
# Seen:       version 13.0.0
#             I;16 NEAREST: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000
#             I;16 BILINEAR: rotate 17 to 217, transform 117 to 117, resize 1000 to 1000
#             I;16 BICUBIC: rotate 5 to 229, transform 117 to 117, resize 1000 to 1000
#             I NEAREST: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000
#             I BILINEAR: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000
#             I BICUBIC: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000
#             F NEAREST: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000
#             F BILINEAR: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000
#             F BICUBIC: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000
# Reported:   python-pillow/Pillow issue 1127 describes it of transform (2015), closed
# With us:    nothing depends on it: sr_jax/data/sources/moving.py transforms RGB of 8 bits only
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: 'pillow==13.0.0' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import io

import numpy as np
import PIL
from PIL import Image
from PIL.Image import Resampling, Transform

HEIGHT, WIDTH = 24, 32


def open_png():
    """Returns an image of 16 bits as Pillow opens it, 1000 everywhere."""
    file = io.BytesIO()
    Image.fromarray(np.full((HEIGHT, WIDTH), 1000, np.uint16)).save(file, 'PNG')
    return Image.open(file)


def middle(image):
    height, width = image.height, image.width
    values = np.asarray(image)[height // 2 - 2 : height // 2 + 2, width // 2 - 2 : width // 2 + 2]
    return f'{values.min():g} to {values.max():g}'


print('version', PIL.__version__)
for mode in ('I;16', 'I', 'F'):
    image = open_png()
    image = image if image.mode == mode else image.convert(mode)
    for name in ('NEAREST', 'BILINEAR', 'BICUBIC'):
        resample = Resampling[name]
        rotated = image.rotate(10, resample)
        shifted = image.transform(image.size, Transform.AFFINE, (1, 0, 0.5, 0, 1, 0), resample)
        resized = image.resize((2 * WIDTH, 2 * HEIGHT), resample)
        print(f'{mode} {name}: rotate {middle(rotated)}, transform {middle(shifted)}, resize {middle(resized)}')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 13.0.0
I;16 NEAREST: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000
I;16 BILINEAR: rotate 17 to 217, transform 117 to 117, resize 1000 to 1000
I;16 BICUBIC: rotate 5 to 229, transform 117 to 117, resize 1000 to 1000
I NEAREST: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000
I BILINEAR: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000
I BICUBIC: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000
F NEAREST: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000
F BILINEAR: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000
F BICUBIC: rotate 1000 to 1000, transform 1000 to 1000, resize 1000 to 1000'
