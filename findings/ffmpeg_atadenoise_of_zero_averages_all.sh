#!/bin/sh
# FFmpeg's atadenoise, an average over time for films with noise, averages frames that have nothing in common where its
# thresholds are 0 and the film has more than 8 bits: what moves becomes ghosts, and cuts become dissolves. Who wants to
# keep the luma as it is, and so sets 0a and 0b to 0, gets the strongest filter there is.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), numpy 2.5.5, Python 3.13, 2026-12-01
# Expected:   frames as they were with thresholds of 0: FFmpeg's documentation gives 0 to 0.3 as the valid range of
#             threshold A, which is "designed to react on abrupt changes", and 0 to 5 for B, which is "designed to react
#             on continuous changes", and says nothing of 0. What differs by more than the threshold is left out, so
#             that the least threshold leaves most out: 0.0001 and 0.01 do, as seen here. Of a threshold, FFmpeg makes
#             whole levels less 1, and compares that as a number without a sign, in which -1 is the greatest. (With 8
#             bits there is other code for x86, where frames stay as they were.) The films are gray frames, and their
#             levels are given in 8 bits.
# Seen:       version 19.0.2, FFmpeg 9.0.2
#             a cut: 40 40 40 40 40 40 200 200 200 200 200 200
#                 10 bits, s=5:0a=0.01:0b=0.01: 40 40 40 40 40 40 200 200 200 200 200 200
#                 10 bits, s=5:0a=0.0001:0b=0.0001: 40 40 40 40 40 40 200 200 200 200 200 200
#                 10 bits, s=5:0a=0:0b=0: 40 40 40 40 72 104 136 168 200 200 200 200
#                 16 bits, s=5:0a=0.01:0b=0.01: 40 40 40 40 40 40 200 200 200 200 200 200
#                 16 bits, s=5:0a=0.0001:0b=0.0001: 40 40 40 40 40 40 200 200 200 200 200 200
#                 16 bits, s=5:0a=0:0b=0: 40 40 40 40 72 104 136 168 200 200 200 200
#             something passes by: 40 40 40 40 40 200 200 40 40 40 40 40
#                 10 bits, s=5:0a=0.01:0b=0.01: 40 40 40 40 40 200 200 40 40 40 40 40
#                 10 bits, s=5:0a=0.0001:0b=0.0001: 40 40 40 40 40 200 200 40 40 40 40 40
#                 10 bits, s=5:0a=0:0b=0: 40 40 40 72 104 104 104 104 72 40 40 40
#                 16 bits, s=5:0a=0.01:0b=0.01: 40 40 40 40 40 200 200 40 40 40 40 40
#                 16 bits, s=5:0a=0.0001:0b=0.0001: 40 40 40 40 40 200 200 40 40 40 40 40
#                 16 bits, s=5:0a=0:0b=0: 40 40 40 72 104 104 104 104 72 40 40 40
# Reported:   not yet
# With us:    nothing depends on it: sr_jax uses no filter of FFmpeg's against noise
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'av 19 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
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

HEIGHT, WIDTH = 32, 48
SECONDS = Fraction(1, 25)


def run(levels, bits, options):
    name, scale = f'gray{bits}le', 1 << bits - 8
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add('buffer', f'video_size={WIDTH}x{HEIGHT}:pix_fmt={name}:time_base={SECONDS}:frame_rate={1 / SECONDS}'),
        graph.add('atadenoise', options),
        graph.add('buffersink'),
    ).configure()
    for number, level in enumerate(levels):
        frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH), scale * level, np.uint16), format=name)
        frame.pts, frame.time_base, frame.duration = number, SECONDS, 1
        graph.push(frame)
    graph.push(None)
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield f'{round(float(frame.to_ndarray().mean()) / scale)}'


print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}')
for what, levels in (
    ('a cut', [40] * 6 + [200] * 6),
    ('something passes by', [40] * 5 + [200] * 2 + [40] * 5),
):
    print(f'{what}:', *levels)
    for bits in (10, 16):
        for threshold in (0.01, 0.0001, 0):
            options = f's=5:0a={threshold:g}:0b={threshold:g}'
            print(f'    {bits} bits, {options}:', *run(levels, bits, options))
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2
a cut: 40 40 40 40 40 40 200 200 200 200 200 200
    10 bits, s=5:0a=0.01:0b=0.01: 40 40 40 40 40 40 200 200 200 200 200 200
    10 bits, s=5:0a=0.0001:0b=0.0001: 40 40 40 40 40 40 200 200 200 200 200 200
    10 bits, s=5:0a=0:0b=0: 40 40 40 40 72 104 136 168 200 200 200 200
    16 bits, s=5:0a=0.01:0b=0.01: 40 40 40 40 40 40 200 200 200 200 200 200
    16 bits, s=5:0a=0.0001:0b=0.0001: 40 40 40 40 40 40 200 200 200 200 200 200
    16 bits, s=5:0a=0:0b=0: 40 40 40 40 72 104 136 168 200 200 200 200
something passes by: 40 40 40 40 40 200 200 40 40 40 40 40
    10 bits, s=5:0a=0.01:0b=0.01: 40 40 40 40 40 200 200 40 40 40 40 40
    10 bits, s=5:0a=0.0001:0b=0.0001: 40 40 40 40 40 200 200 40 40 40 40 40
    10 bits, s=5:0a=0:0b=0: 40 40 40 72 104 104 104 104 72 40 40 40
    16 bits, s=5:0a=0.01:0b=0.01: 40 40 40 40 40 200 200 40 40 40 40 40
    16 bits, s=5:0a=0.0001:0b=0.0001: 40 40 40 40 40 200 200 40 40 40 40 40
    16 bits, s=5:0a=0:0b=0: 40 40 40 72 104 104 104 104 72 40 40 40'
