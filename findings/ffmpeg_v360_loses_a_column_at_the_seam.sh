#!/bin/sh
# FFmpeg's v360, which turns panoramas, enlarges them by a column and a row even where it turns by nothing: what lies at
# the left and right edges, which meet in the panorama, loses half of its light, and all but the middle is blurred.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), numpy 2.5.5, Python 3.13, 2026-12-01
# Expected:   the same panorama from a turn by yaw=0, and half a width further from yaw=180, as rows of such a panorama
#             are 360 degrees, each column 360 / 256: a bright column stays one. The documentation says of yaw
#             that it is the rotation in degrees, and of a loss nothing. Pixels of the result are taken for areas, those
#             of the source for points from edge to edge, so that column i is from (i + 0.5) * 255 / 256. With
#             interp=nearest, the panorama stays as it is.
# Seen:       version 19.0.2, FFmpeg 9.0.2
#             yaw=0, 1.0 in 0: 0.5 in 0
#             yaw=0, 1.0 in 64: 0.2 in 63, 0.8 in 64
#             yaw=0, 1.0 in 128: 1.0 in 128
#             yaw=0, 1.0 in 255: 0.5 in 255
#             yaw=180, 1.0 in 0: 0.5 in 128
#             yaw=180, 1.0 in 64: 0.2 in 191, 0.8 in 192
#             yaw=180, 1.0 in 128: 1.0 in 0
#             yaw=180, 1.0 in 255: 0.5 in 127
#             yaw=0:interp=nearest, 1.0 in 0: 1.0 in 0
#             yaw=0:interp=nearest, 1.0 in 64: 1.0 in 64
#             yaw=0:interp=nearest, 1.0 in 128: 1.0 in 128
#             yaw=0:interp=nearest, 1.0 in 255: 1.0 in 255
#             yaw=0, 16 waves: PSNR 29 dB
# Reported:   not yet
# With us:    nothing depends on it: sr_jax turns no panoramas
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'av==19.0.2' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
from fractions import Fraction

import av
import numpy as np

HEIGHT, WIDTH = 128, 256
BRIGHT = 200


def turn(image, options):
    graph = av.filter.Graph()
    rate = Fraction(1, 25)
    source = graph.add_buffer(width=WIDTH, height=HEIGHT, format='gray', time_base=rate)
    turner = graph.add('v360', f'input=equirect:output=equirect:{options}')
    sink = graph.add('buffersink')
    source.link_to(turner)
    turner.link_to(sink)
    graph.configure()
    frame = av.VideoFrame.from_ndarray(image, format='gray')
    frame.pts, frame.time_base = 0, rate
    source.push(frame)
    return sink.pull().to_ndarray()


def describe(column, options):
    """Where a bright column of a dark panorama is then, and with which share of its light."""
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    image[:, column] = BRIGHT
    shares = turn(image, options)[HEIGHT // 2] / BRIGHT
    return ', '.join(f'{share:.1f} in {at}' for at, share in enumerate(shares) if share > 0.05)


print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}')
for options in ('yaw=0', 'yaw=180', 'yaw=0:interp=nearest'):
    for column in (0, 64, 128, 255):
        print(f'{options}, 1.0 in {column}: {describe(column, options)}')
wave = np.sin(2 * np.pi * 16 * np.arange(WIDTH) / WIDTH)
image = np.tile((127.5 + 120 * wave).round().astype(np.uint8), (HEIGHT, 1))
error = np.mean((turn(image, 'yaw=0').astype(float) - image) ** 2)
print(f'yaw=0, 16 waves: PSNR {10 * np.log10(255**2 / error):.0f} dB')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2
yaw=0, 1.0 in 0: 0.5 in 0
yaw=0, 1.0 in 64: 0.2 in 63, 0.8 in 64
yaw=0, 1.0 in 128: 1.0 in 128
yaw=0, 1.0 in 255: 0.5 in 255
yaw=180, 1.0 in 0: 0.5 in 128
yaw=180, 1.0 in 64: 0.2 in 191, 0.8 in 192
yaw=180, 1.0 in 128: 1.0 in 0
yaw=180, 1.0 in 255: 0.5 in 127
yaw=0:interp=nearest, 1.0 in 0: 1.0 in 0
yaw=0:interp=nearest, 1.0 in 64: 1.0 in 64
yaw=0:interp=nearest, 1.0 in 128: 1.0 in 128
yaw=0:interp=nearest, 1.0 in 255: 1.0 in 255
yaw=0, 16 waves: PSNR 29 dB'
