#!/bin/sh
# AVIF that Pillow writes of RGB has a cast: red and blue are about two thirds of a level of 255 too low, green half a
# level too high, at quality 100, and about as much at 90. libyuv, it seems, which libavif uses for this, makes chroma
# that is rounded down, by almost half a level on average. Of the same pixels with an alpha of 255 everywhere, which is
# not written, 4:4:4 has no cast; 4:2:0 keeps it.
#
# Version:    pillow 13.0.0 (wheel for Linux x86-64, libavif 1.4.2), av 19.0.2, numpy 2.5.5, Python 3.13, 2026-11-30
# Expected:   red, green, blue and chroma off by nothing on average at quality 100, as of JPEG, and the same for RGB as
#             for RGBA. Pillow's handbook says of AVIF's quality: "0 gives the smallest size and poorest quality, 100
#             the largest size and best quality", and of subsampling and range what they are; of a cast it says
#             nothing. The image is 4096 colors in even blocks, so that nothing hangs on how chroma is made smaller.
#             FFmpeg reads the planes of the files, so that the fault is not in reading.
# Seen:       version 13.0.0, libavif 1.4.2
#             JPEG 4:4:4 RGB: red 0.0, green 0.0, blue 0.0
#             AVIF 4:4:4 RGB: red -0.6, green 0.5, blue -0.8; planes of yuv444p: Y 0.0, Cb -0.5, Cr -0.5
#             AVIF 4:4:4 RGBA: red 0.0, green 0.0, blue 0.0; planes of yuv444p: Y 0.0, Cb 0.0, Cr 0.0
#             AVIF 4:2:0 RGB: red -0.5, green 0.4, blue -0.7; planes of yuv420p: Y 0.0, Cb -0.5, Cr -0.5
#             AVIF 4:2:0 RGBA: red -0.5, green 0.4, blue -0.7; planes of yuv420p: Y 0.0, Cb -0.5, Cr -0.5
# Reported:   not yet (AOMediaCodec/libavif pull request 1024, which brought libyuv in, speaks of a small loss)
# With us:    sr_jax/images/encoding.py gives Pillow an alpha of 255, which is not written
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'pillow==13.0.0' 'av==19.0.2' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import io

import av
import numpy as np
import PIL
from PIL import Image, features


def describe(names, differences):
    means = (round(float(difference.mean()), 1) + 0 for difference in differences)  # + 0: no minus before 0
    return ', '.join(f'{name} {mean:.1f}' for name, mean in zip(names, means))


def planes_of(file):
    with av.open(file) as container:
        frame = next(container.decode(video=0))
    planes = []
    for plane in frame.planes[:3]:
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        planes.append(rows[:, : plane.width].astype(float))
    return frame.format.name, planes


print(f'version {PIL.__version__}, libavif {features.version("avif")}')
levels = np.arange(8, 256, 16)  # 16 of each color
colors = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(64, 64, 3)
image = colors.repeat(4, 0).repeat(4, 1).astype(np.uint8)
red, green, blue = np.moveaxis(image.astype(float), -1, 0)
luma = 0.299 * red + 0.587 * green + 0.114 * blue  # BT.601, full range, as Pillow has it written
exact = luma, (blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128
for kind, sampling, mode in (
    ('JPEG', '4:4:4', 'RGB'),
    ('AVIF', '4:4:4', 'RGB'),
    ('AVIF', '4:4:4', 'RGBA'),
    ('AVIF', '4:2:0', 'RGB'),
    ('AVIF', '4:2:0', 'RGBA'),
):
    file = io.BytesIO()
    options = {'max_threads': 1} if kind == 'AVIF' else {}
    Image.fromarray(image).convert(mode).save(file, kind, quality=100, subsampling=sampling, **options)
    off = np.asarray(Image.open(file).convert('RGB')).astype(float) - image
    line = f'{kind} {sampling} {mode}: ' + describe(('red', 'green', 'blue'), np.moveaxis(off, -1, 0))
    if kind == 'AVIF':
        file.seek(0)
        name, planes = planes_of(file)
        step = 1 if sampling == '4:4:4' else 2
        wanted = exact[0], exact[1][::step, ::step], exact[2][::step, ::step]
        line += f'; planes of {name}: '
        line += describe(('Y', 'Cb', 'Cr'), [plane - want for plane, want in zip(planes, wanted)])
    print(line)
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 13.0.0, libavif 1.4.2
JPEG 4:4:4 RGB: red 0.0, green 0.0, blue 0.0
AVIF 4:4:4 RGB: red -0.6, green 0.5, blue -0.8; planes of yuv444p: Y 0.0, Cb -0.5, Cr -0.5
AVIF 4:4:4 RGBA: red 0.0, green 0.0, blue 0.0; planes of yuv444p: Y 0.0, Cb 0.0, Cr 0.0
AVIF 4:2:0 RGB: red -0.5, green 0.4, blue -0.7; planes of yuv420p: Y 0.0, Cb -0.5, Cr -0.5
AVIF 4:2:0 RGBA: red -0.5, green 0.4, blue -0.7; planes of yuv420p: Y 0.0, Cb -0.5, Cr -0.5'
