#!/bin/sh
# FFmpeg's filter detelecine goes on to write into the frames that it has given away. Where it makes two frames of one,
# the first is overwritten before the next filter sees it: behind it, even copy gives a film in which some frames are
# gone and their successors there twice. Filters that hold frames (reverse, tmedian, fps) get more that are wrong.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), numpy 2.5.5, Python 3.13, 2026-11-30
# Expected:   20, 40, ... 200 again, whatever follows: FFmpeg's documentation calls detelecine "an exact inverse of the
#             telecine operation", given the same pattern, and copy a filter that passes its input unchanged. The film
#             is ten frames, each of one level of gray; telecine makes twelve of them, of which some have two levels.
#             Read one after the other, with nothing behind detelecine, the frames are right; the same frames, read
#             when all have come, are all the last one. The frames of telecine stay as they are.
# Seen:       version 19.0.2, FFmpeg 9.0.2
#             telecine, 12 frames: 20 40 50 70 80 100 120 130 150 160 180 200
#                 read later: 20 40 50 70 80 100 120 130 150 160 180 200
#             telecine,detelecine, 10 frames: 20 40 60 80 100 120 140 160 180 200
#                 read later: 200 200 200 200 200 200 200 200 200 200
#             telecine,detelecine,copy, 10 frames: 20 40 80 80 100 120 160 160 180 200
#                 read later: 20 40 80 80 100 120 160 160 180 200
#             telecine,detelecine,reverse, 10 frames: 200 200 200 200 200 200 200 200 200 200
#                 read later: 200 200 200 200 200 200 200 200 200 200
#             telecine,reverse, 12 frames: 200 180 160 150 130 120 100 80 70 50 40 20
#                 read later: 200 180 160 150 130 120 100 80 70 50 40 20
# Reported:   not yet
# With us:    nothing depends on it: sr_jax/film/fields.py undoes telecine by fieldmatch, bwdif and decimate, and their
#             frames stay as they are
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
SECONDS = Fraction(1001, 24000)


def level(frame):
    return round(float(frame.to_ndarray().mean()))


def run(names):
    """The levels of the frames that a chain of filters gives, each at once and all of them later."""
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add('buffer', f'video_size={WIDTH}x{HEIGHT}:pix_fmt=gray:time_base={SECONDS}:frame_rate={1 / SECONDS}'),
        *(graph.add(name) for name in names),
        graph.add('buffersink'),
    ).configure()
    frames, at_once = [], []
    for number, value in enumerate([*range(20, 201, 20), None]):
        frame = None
        if value is not None:
            frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH), value, np.uint8), format='gray')
            frame.pts, frame.time_base, frame.duration = number, SECONDS, 1
        graph.push(frame)
        while True:
            try:
                frames.append(graph.pull())
            except (av.BlockingIOError, av.EOFError):
                break
            at_once.append(level(frames[-1]))
    return at_once, [level(frame) for frame in frames]


print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}')
for chain in (
    'telecine',
    'telecine,detelecine',
    'telecine,detelecine,copy',
    'telecine,detelecine,reverse',
    'telecine,reverse',
):
    at_once, later = run(chain.split(','))
    print(f'{chain}, {len(at_once)} frames:', *at_once)
    print('    read later:', *later)
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2
telecine, 12 frames: 20 40 50 70 80 100 120 130 150 160 180 200
    read later: 20 40 50 70 80 100 120 130 150 160 180 200
telecine,detelecine, 10 frames: 20 40 60 80 100 120 140 160 180 200
    read later: 200 200 200 200 200 200 200 200 200 200
telecine,detelecine,copy, 10 frames: 20 40 80 80 100 120 160 160 180 200
    read later: 20 40 80 80 100 120 160 160 180 200
telecine,detelecine,reverse, 10 frames: 200 200 200 200 200 200 200 200 200 200
    read later: 200 200 200 200 200 200 200 200 200 200
telecine,reverse, 12 frames: 200 180 160 150 130 120 100 80 70 50 40 20
    read later: 200 180 160 150 130 120 100 80 70 50 40 20'
