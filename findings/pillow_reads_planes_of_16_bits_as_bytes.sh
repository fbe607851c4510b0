#!/bin/sh
# Pillow reads a TIFF of 16 bits whose colors lie in planes, one after the other and uncompressed, as one of bytes: low
# and high bytes become pixels in turn, and the lower half of the image is gone. An array of uint16, channels first, is
# such a file as soon as tifffile writes it as RGB; who trains on a folder of them trains on noise.
#
# Version:    pillow 13.0.0, tifffile 2026.11.8, numpy 2.5.5, Python 3.13, 2026-11-30
# Expected:   the high bytes (64, 128 and 192 above, 65, 129 and 193 below), as where a pixel's colors lie together,
#             or an exception. Pillow's handbook says of TIFF: "It can read both striped and tiled images, pixel and
#             plane interleaved multi-band images." The same planes are read well when compressed, or of 8 bits.
# Seen:       version 13.0.0
#             16 bits, pixels: above 64-64 128-128 192-192, below 65-65 129-129 193-193; tifffile True
#             16 bits, planes: above 10-64 20-128 30-192, below 10-64 20-128 30-192; tifffile True
#             16 bits, planes, big-endian: above 10-64 20-128 30-192, below 10-64 20-128 30-192; tifffile True
#             16 bits, planes, compressed: above 64-64 128-128 192-192, below 65-65 129-129 193-193; tifffile True
#             8 bits, planes: above 64-64 128-128 192-192, below 65-65 129-129 193-193; tifffile True
# Reported:   not yet
# With us:    sr_jax/images/tiff_planes.py reads each plane as a grey image, also those of compressed ones, of which Pillow
#             gives the high bytes and nothing else
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'pillow==13.0.0' 'tifffile==2026.11.8' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import io

import numpy as np
import PIL
import tifffile
from PIL import Image

HEIGHT, WIDTH = 16, 24


def describe(rows):
    """The least and the greatest red, green and blue."""
    return ' '.join(f'{low}-{high}' for low, high in zip(rows.min((0, 1)), rows.max((0, 1))))


print('version', PIL.__version__)
deep = np.full((HEIGHT, WIDTH, 3), (64 * 256 + 10, 128 * 256 + 20, 192 * 256 + 30), np.uint16)
deep[HEIGHT // 2 :] += 256
for kind, pixels, in_planes, compression, order in (
    ('16 bits, pixels', deep, False, None, '<'),
    ('16 bits, planes', deep, True, None, '<'),
    ('16 bits, planes, big-endian', deep, True, None, '>'),
    ('16 bits, planes, compressed', deep, True, 'zlib', '<'),
    ('8 bits, planes', (deep >> 8).astype(np.uint8), True, None, '<'),
):
    written = pixels.transpose(2, 0, 1) if in_planes else pixels
    file = io.BytesIO()
    tifffile.imwrite(file, written, photometric='rgb', compression=compression, byteorder=order)
    found = np.asarray(Image.open(file))
    file.seek(0)
    same = np.array_equal(tifffile.imread(file), written)
    print(f'{kind}: above {describe(found[: HEIGHT // 2])}, below {describe(found[HEIGHT // 2 :])}; tifffile {same}')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 13.0.0
16 bits, pixels: above 64-64 128-128 192-192, below 65-65 129-129 193-193; tifffile True
16 bits, planes: above 10-64 20-128 30-192, below 10-64 20-128 30-192; tifffile True
16 bits, planes, big-endian: above 10-64 20-128 30-192, below 10-64 20-128 30-192; tifffile True
16 bits, planes, compressed: above 64-64 128-128 192-192, below 65-65 129-129 193-193; tifffile True
8 bits, planes: above 64-64 128-128 192-192, below 65-65 129-129 193-193; tifffile True'
