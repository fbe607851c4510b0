#!/bin/sh
# libvips enlarges an image half a pixel of the result too far to the right and down, with every kernel but 'nearest'.
# Who takes this for the bicubic image that a network is compared with measures the shift, and trains against it.
#
# Version:    pyvips 3.2.0, pyvips-binary 8.18.7 (libvips 8.18.7), pillow 13.0.0, numpy 2.5.5, Python 3.13, 2026-11-30
# Expected:   no shift, as of Pillow, and as of libvips itself where it makes images smaller. The documentation of
#             Image.resize says that this is done "with centre convention", and of scale > 1 that it "adds a 0.5 pixel
#             displacement to the input pixels to get centre convention scaling". Pixel i of the result would then show
#             the place (i + 0.5) / scale - 0.5 of the image; it shows i / scale - 0.5. The image is a slope, on which
#             each kernel gives the place itself; looked at is the middle, far from the edges. PSNR is of a picture of
#             waves that is made at both sizes by its formula.
# Seen:       version 8.18.7
#             scale 0.5: nearest -0.25, linear 0.00, cubic 0.00, lanczos3 0.00; Pillow BICUBIC 0.00
#             scale 1.5: nearest 0.33, linear 0.50, cubic 0.50, lanczos3 0.50; Pillow BICUBIC 0.00
#             scale 2.0: nearest 0.00, linear 0.50, cubic 0.50, lanczos3 0.50; Pillow BICUBIC 0.00
#             scale 3.0: nearest 0.00, linear 0.50, cubic 0.50, lanczos3 0.50; Pillow BICUBIC 0.00
#             scale 4.0: nearest 0.00, linear 0.50, cubic 0.50, lanczos3 0.50; Pillow BICUBIC 0.00
#             PSNR of scale 4: cubic 30.2, Pillow BICUBIC 47.5
# Reported:   libvips/libvips issue 4841 describes it; 8.19, of which there is no wheel yet, lists it as mended
# With us:    nothing depends on it: sr_jax resizes by itself and by Pillow
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: --no-binary pyvips \
    'pyvips==3.2.0' 'pyvips-binary==8.18.7' 'pillow==13.0.0' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import numpy as np
import pyvips
from PIL import Image

HEIGHT, WIDTH = 48, 64
KERNELS = 'nearest', 'linear', 'cubic', 'lanczos3'


def by_pillow(image, scale):
    height, width = (round(side * scale) for side in image.shape)
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def by_vips(image, scale, kernel):
    return pyvips.Image.new_from_array(image).resize(scale, kernel=kernel).numpy()


def grid(height, width, scale):
    """The places of an image of HEIGHT x WIDTH that the pixels of the scaled one show."""
    return [(np.arange(side) + 0.5) / scale - 0.5 for side in (height, width)]


def middle(image):
    height, width = image.shape
    return image[height // 4 : -height // 4, width // 4 : -width // 4]


def shift(scaled, scale):
    """How far the slope has moved to the right, and as far down, in pixels of the result."""
    y, x = grid(*scaled.shape, scale)
    off = middle(np.add.outer(y, x) - scaled) * scale / 2
    return f'{round(float(off.mean()), 2) + 0:.2f}'  # + 0: no minus before 0


def waves(scale):
    y, x = grid(round(HEIGHT * scale), round(WIDTH * scale), scale)
    return (0.5 + 0.4 * np.multiply.outer(np.sin(y), np.sin(0.7 * x))).astype(np.float32)


def psnr(image, reference):
    return f'{-10 * np.log10(np.mean(middle(image - reference) ** 2)):.1f}'


print('version', '.'.join(str(pyvips.version(part)) for part in range(3)))
slope = np.add.outer(*grid(HEIGHT, WIDTH, 1)).astype(np.float32)
for scale in (0.5, 1.5, 2.0, 3.0, 4.0):
    shifts = (f'{kernel} {shift(by_vips(slope, scale, kernel), scale)}' for kernel in KERNELS)
    print(f'scale {scale}: {", ".join(shifts)}; Pillow BICUBIC {shift(by_pillow(slope, scale), scale)}')
small, large = waves(1), waves(4)
print(f'PSNR of scale 4: cubic {psnr(by_vips(small, 4, "cubic"), large)},', end=' ')
print(f'Pillow BICUBIC {psnr(by_pillow(small, 4), large)}')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 8.18.7
scale 0.5: nearest -0.25, linear 0.00, cubic 0.00, lanczos3 0.00; Pillow BICUBIC 0.00
scale 1.5: nearest 0.33, linear 0.50, cubic 0.50, lanczos3 0.50; Pillow BICUBIC 0.00
scale 2.0: nearest 0.00, linear 0.50, cubic 0.50, lanczos3 0.50; Pillow BICUBIC 0.00
scale 3.0: nearest 0.00, linear 0.50, cubic 0.50, lanczos3 0.50; Pillow BICUBIC 0.00
scale 4.0: nearest 0.00, linear 0.50, cubic 0.50, lanczos3 0.50; Pillow BICUBIC 0.00
PSNR of scale 4: cubic 30.2, Pillow BICUBIC 47.5'
