#!/bin/sh
# RGB of a yuv420p frame is about one level of 255 too dark, and two where libswscale is asked for accurate rounding.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), Python 3.13, 2026-11-28
# Expected:   the nearest whole number, off by 1/2 at most and by nothing on average, as from yuv444p; and surely with
#             ACCURATE_RND: "Enable accurate rounding" (FFmpeg's documentation, Scaler Options). The frames are of one
#             color each, so that nothing hangs on how chroma is enlarged. Only ACCURATE_RND and FULL_CHR_H_INT together
#             round as expected.
# Seen:       version 19.0.2, FFmpeg 9.0.2, 3673 colors
#             yuv444p: R, G, B off by 0.0 0.0 0.0 on average, at most by 0.5
#             yuv420p: R, G, B off by -1.0 -1.5 -1.1 on average, at most by -2.8
#             yuv420p ACCURATE_RND: R, G, B off by -2.3 -1.8 -2.2 on average, at most by -3.4
#             yuv420p ACCURATE_RND FULL_CHR_H_INT: R, G, B off by 0.0 0.0 0.0 on average, at most by 0.5
# Reported:   not yet
# With us:    sr_jax/film/color.py turns planes into RGB itself, in float32
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'av 19 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: 'av==19.0.2' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import itertools

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

HEIGHT, WIDTH = 32, 48
RED, BLUE = 0.2126, 0.0722  # weights in luma: BT.709


def exact_rgb(y, u, v):
    luma, to_blue, to_red = (y - 16) / 219, (u - 128) / 224, (v - 128) / 224
    red, blue = luma + 2 * (1 - RED) * to_red, luma + 2 * (1 - BLUE) * to_blue
    return 255 * np.array([red, (luma - RED * red - BLUE * blue) / (1 - RED - BLUE), blue])


def make_frame(format, color):
    frame = av.VideoFrame(WIDTH, HEIGHT, format)
    for plane, value in zip(frame.planes, color):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
    return frame


colors = itertools.product(range(16, 236, 9), range(16, 241, 9), range(16, 241, 9))
wanted = {color: exact_rgb(*color) for color in colors}
wanted = {color: rgb for color, rgb in wanted.items() if rgb.min() >= 0 and rgb.max() <= 255}
print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}, {len(wanted)} colors')
for format, names in (
    ('yuv444p', []),
    ('yuv420p', []),
    ('yuv420p', ['ACCURATE_RND']),
    ('yuv420p', ['ACCURATE_RND', 'FULL_CHR_H_INT']),
):
    flags = Interpolation.BICUBIC
    for name in names:
        flags |= Interpolation[name]
    off = []
    for color, rgb in wanted.items():
        seen = make_frame(format, color).to_ndarray(format='rgb24', interpolation=flags)
        off.append(seen.mean((0, 1)) - rgb)
    mean = ' '.join(str(value) for value in np.round(np.mean(off, 0), 1) + 0.0)
    worst = max(np.ravel(off), key=abs)
    print(f'{" ".join([format, *names])}: R, G, B off by {mean} on average, at most by {worst:.1f}')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2, 3673 colors
yuv444p: R, G, B off by 0.0 0.0 0.0 on average, at most by 0.5
yuv420p: R, G, B off by -1.0 -1.5 -1.1 on average, at most by -2.8
yuv420p ACCURATE_RND: R, G, B off by -2.3 -1.8 -2.2 on average, at most by -3.4
yuv420p ACCURATE_RND FULL_CHR_H_INT: R, G, B off by 0.0 0.0 0.0 on average, at most by 0.5'
