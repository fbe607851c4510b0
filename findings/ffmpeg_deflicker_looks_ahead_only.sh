#!/bin/sh
# FFmpeg's deflicker, which takes flicker out of films, averages the brightness of a frame and of those after it, none
# before: the last frames of a scene get the brightness of the next one, and a fade comes half a window too early.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), numpy 2.5.5, Python 3.13, 2026-11-30
# Expected:   a mean of the frames around, by which the middle of a slope stays as it is, and a film played backward
#             gives the same, backward. FFmpeg's documentation says that deflicker removes "temporal frame luminance
#             variations", and of its size that it is that of a "moving-average filter", 5 frames by default. A frame's
#             level becomes that of the mean of its own and the next four. The films are of eleven gray frames.
# Seen:       version 19.0.2, FFmpeg 9.0.2
#             a cut: 60 60 60 60 60 60 180 180 180 180 180
#                 deflicker: 60 60 84 108 132 156 180 180 180 180 180
#                 deflicker, played backward: 60 60 60 60 60 60 84 108 132 156 180
#             a fade: 50 60 70 80 90 100 110 120 130 140 150
#                 deflicker: 70 80 90 100 110 120 130 138 144 148 150
#                 deflicker, played backward: 50 52 56 62 70 80 90 100 110 120 130
# Reported:   not yet
# With us:    nothing depends on it: sr_jax has no such filter
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
from fractions import Fraction

import av
import numpy as np

HEIGHT, WIDTH = 32, 48
SECONDS = Fraction(1, 25)


def run(filter, levels):
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add('buffer', f'video_size={WIDTH}x{HEIGHT}:pix_fmt=gray:time_base={SECONDS}:frame_rate={1 / SECONDS}'),
        graph.add(filter),
        graph.add('buffersink'),
    ).configure()
    for number, level in enumerate(levels):
        frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH), level, np.uint8), format='gray')
        frame.pts, frame.time_base, frame.duration = number, SECONDS, 1
        graph.push(frame)
    graph.push(None)
    while True:
        try:
            yield round(float(graph.pull().to_ndarray().mean()))
        except (av.BlockingIOError, av.EOFError):
            return


print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}')
for name, levels in (
    ('a cut', [60] * 6 + [180] * 5),
    ('a fade', range(50, 151, 10)),
):
    print(f'{name}:', *levels)
    print('    deflicker:', *run('deflicker', levels))
    print('    deflicker, played backward:', *list(run('deflicker', levels[::-1]))[::-1])
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2
a cut: 60 60 60 60 60 60 180 180 180 180 180
    deflicker: 60 60 84 108 132 156 180 180 180 180 180
    deflicker, played backward: 60 60 60 60 60 60 84 108 132 156 180
a fade: 50 60 70 80 90 100 110 120 130 140 150
    deflicker: 70 80 90 100 110 120 130 138 144 148 150
    deflicker, played backward: 50 52 56 62 70 80 90 100 110 120 130'
