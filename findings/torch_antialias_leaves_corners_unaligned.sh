#!/bin/sh
# interpolate of PyTorch with antialias=True and align_corners=True gives neither of the two grids of pixels: enlarged
# images lie half a pixel of the result too low and too far right, and end before the last row and column of the source.
# Nothing is raised. Who turns antialias on in a network trained without it moves its features with every enlargement.
#
# Version:    torch 2.14.1, numpy 2.5.5, Python 3.13, 2026-12-01
# Expected:   the corners that align_corners=True gives without antialias: the documentation says that "the input and
#             output tensors are aligned by the center points of their corner pixels, preserving the values at the
#             corner pixels", and of antialias that with align_corners=False it matches Pillow when shrinking, nothing
#             of align_corners=True. Where an image grows, antialias has nothing to do: bilinear and align_corners=False
#             give the same with and without it. The step from pixel to pixel is that of aligned corners (6 / 12), but
#             begins at half a step, as if pixels were areas. So a mirrored image does not give the mirrored result,
#             51.2 28.
# Seen:       version 2.14.1
#             7 to 13, align_corners=True: 0 5 10 15 20 25 30 35 40 45 50 55 60
#             7 to 13, align_corners=True, antialias: 0 2.5 7.5 12.5 17.5 22.5 27.5 32.5 37.5 42.5 47.5 52.5 57.5
#             7 to 13, align_corners=False: 0 3.1 8.5 13.8 19.2 24.6 30 35.4 40.8 46.2 51.5 56.9 60
#             7 to 13, align_corners=False, antialias: 0 3.1 8.5 13.8 19.2 24.6 30 35.4 40.8 46.2 51.5 56.9 60
#             7 to 2, align_corners=True: 0 60
#             7 to 2, align_corners=True, antialias: 28 51.2
#             7 to 2, align_corners=False, antialias: 15.8 44.2
#             mirrored, then 7 to 2, align_corners=True, antialias: 32 8.8
#             mirrored, then 7 to 2, align_corners=False, antialias: 44.2 15.8
# Reported:   pytorch/pytorch pull request 145526 remarks on it as a quirk that is not very well documented, 2025
# With us:    nothing depends on it: sr_jax/images/resize.py and jax.image.resize align areas, and no PyTorch is used
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: 'torch==2.14.1' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
from importlib.metadata import version

import torch
from torch.nn.functional import interpolate

HEIGHT, WIDTH = 3, 7
RAMP = torch.arange(0.0, 10 * WIDTH, 10).expand(1, 1, HEIGHT, WIDTH)


def show(name, image, width, align_corners, antialias):
    changed = interpolate(
        image, (HEIGHT, width), mode='bilinear', align_corners=align_corners, antialias=antialias
    )
    numbers = ' '.join(f'{round(number, 1):g}' for number in changed[0, 0, 1].tolist())
    print(f'{name}, align_corners={align_corners}{", antialias" * antialias}: {numbers}')


print('version', version('torch'))
for align_corners in (True, False):
    for antialias in (False, True):
        show('7 to 13', RAMP, 13, align_corners, antialias)
show('7 to 2', RAMP, 2, True, False)
for name, image in (('7 to 2', RAMP), ('mirrored, then 7 to 2', RAMP.flip(-1))):
    for align_corners in (True, False):
        show(name, image, 2, align_corners, True)
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 2.14.1
7 to 13, align_corners=True: 0 5 10 15 20 25 30 35 40 45 50 55 60
7 to 13, align_corners=True, antialias: 0 2.5 7.5 12.5 17.5 22.5 27.5 32.5 37.5 42.5 47.5 52.5 57.5
7 to 13, align_corners=False: 0 3.1 8.5 13.8 19.2 24.6 30 35.4 40.8 46.2 51.5 56.9 60
7 to 13, align_corners=False, antialias: 0 3.1 8.5 13.8 19.2 24.6 30 35.4 40.8 46.2 51.5 56.9 60
7 to 2, align_corners=True: 0 60
7 to 2, align_corners=True, antialias: 28 51.2
7 to 2, align_corners=False, antialias: 15.8 44.2
mirrored, then 7 to 2, align_corners=True, antialias: 32 8.8
mirrored, then 7 to 2, align_corners=False, antialias: 44.2 15.8'
