#!/bin/sh
# FFmpeg's lenscorrection with i=bilinear moves frames half a pixel to the left and up, and their chroma of 4:2:0 by a
# whole one, so that colors no longer fit, and blurs them, even where there is nothing to correct. With i=nearest, the
# default, it does none of this. Who turns to bilinear for quality has frames that fit no others.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), numpy 2.5.5, Python 3.13, 2026-12-01
# Expected:   frames as they were with k1=0 and k2=0: the documentation says of each that "0 means no correction", and
#             of i that it is the interpolation type. With other numbers, bilinear samples around the places of nearest,
#             off by nothing on average; the center stays in both. Pixels are whole numbers, which are rounded, so the
#             ramps rise by 4 levels a pixel; chroma is counted in pixels of luma. The waves are 8 pixels long.
# Seen:       version 19.0.2, FFmpeg 9.0.2
#             i=nearest, k1=0: moved left 0.0, chroma 0.0; up 0.0, chroma 0.0
#             i=nearest, k1=0.1: moved left 0.0, chroma 0.0; up 0.0, chroma 0.0
#             i=nearest, k1=-0.1: moved left 0.0, chroma 0.0; up 0.0, chroma 0.0
#             i=nearest, waves: contrast 100%
#             i=bilinear, k1=0: moved left 0.5, chroma 1.0; up 0.5, chroma 1.0
#             i=bilinear, k1=0.1: moved left 0.5, chroma 1.0; up 0.5, chroma 1.0
#             i=bilinear, k1=-0.1: moved left 0.5, chroma 1.0; up 0.5, chroma 1.0
#             i=bilinear, waves: contrast 93%
# Reported:   not yet
# With us:    nothing depends on it: sr_jax corrects no lenses
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

HEIGHT, WIDTH = 48, 48
SECONDS = Fraction(1, 25)
STEP = 4  # levels of the ramps, from pixel to pixel


def correct(luma, chroma, options):
    """Luma and chroma of a yuv420p frame afterwards."""
    graph = av.filter.Graph()
    size = f'video_size={WIDTH}x{HEIGHT}:pix_fmt=yuv420p:time_base={SECONDS}:frame_rate={1 / SECONDS}'
    graph.link_nodes(
        graph.add('buffer', size), graph.add('lenscorrection', options), graph.add('buffersink')
    ).configure()
    rows = np.concatenate([luma, *(chroma.reshape(-1, WIDTH),) * 2])
    frame = av.VideoFrame.from_ndarray(rows.round().astype(np.uint8), format='yuv420p')
    frame.pts, frame.time_base = 0, SECONDS
    graph.push(frame)
    rows = graph.pull().to_ndarray().astype(float)
    return rows[:HEIGHT], rows[HEIGHT : HEIGHT * 5 // 4].reshape(chroma.shape)


def middle(plane):
    """The middle half, which borders do not reach."""
    height, width = plane.shape
    return plane[height // 4 : -height // 4, width // 4 : -width // 4]


def describe(options):
    for axis, name in ((1, 'left'), (0, 'up')):
        luma = 20 + STEP * np.indices((HEIGHT, WIDTH))[axis]
        chroma = 20 + 2 * STEP * np.indices((HEIGHT // 2, WIDTH // 2))[axis]
        after = correct(luma, chroma, options)
        moved = (np.mean(middle(new - old)) / STEP for new, old in zip(after, (luma, chroma)))
        yield f'{name} {next(moved):.1f}, chroma {next(moved):.1f}'


print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}')
wave = 128 + 100 * np.cos(np.arange(WIDTH) * np.pi / 4 + 0.4) + np.zeros((HEIGHT, 1))
for kind in ('nearest', 'bilinear'):
    for k1 in (0, 0.1, -0.1):
        print(f'i={kind}, k1={k1}: moved', '; '.join(describe(f'i={kind}:k1={k1}')))
    after = middle(correct(wave, np.full((HEIGHT // 2, WIDTH // 2), 128), f'i={kind}')[0])
    print(f'i={kind}, waves: contrast {np.std(after) / np.std(middle(wave)):.0%}')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2
i=nearest, k1=0: moved left 0.0, chroma 0.0; up 0.0, chroma 0.0
i=nearest, k1=0.1: moved left 0.0, chroma 0.0; up 0.0, chroma 0.0
i=nearest, k1=-0.1: moved left 0.0, chroma 0.0; up 0.0, chroma 0.0
i=nearest, waves: contrast 100%
i=bilinear, k1=0: moved left 0.5, chroma 1.0; up 0.5, chroma 1.0
i=bilinear, k1=0.1: moved left 0.5, chroma 1.0; up 0.5, chroma 1.0
i=bilinear, k1=-0.1: moved left 0.5, chroma 1.0; up 0.5, chroma 1.0
i=bilinear, waves: contrast 93%'
