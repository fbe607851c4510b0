#!/bin/sh
# FFmpeg's tmedian, the median over time that takes specks and noise out of films, shows each picture `radius` frames
# too early, and gives two times `radius` frames less: the film runs ahead of its sound, and of a film that is compared
# with it frame by frame. A film that is not longer than that comes out empty, without an error.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), numpy 2.5.5, Python 3.13, 2026-11-30
# Expected:   as many frames as before, each the median of those around it: at time 4 the one of frame 4, also with
#             other edges. FFmpeg's documentation says that tmedian takes the median of successive frames, and calls
#             its option the radius, from 1 to 127, as it does with median, where the radius is on both sides of a
#             pixel and nothing moves. TemporalMedian of VapourSynth leaves the first and last frames as they are. Of
#             FFmpeg's own filters over time, atadenoise and tmidequalizer keep frames and times. Frame n of the film
#             has the level 20 + 20 n, so that the median of neighbors is the one in their middle.
# Seen:       version 19.0.2, FFmpeg 9.0.2
#             null: frames 0 1 2 3 4 5 6 7 8 9 at 0 1 2 3 4 5 6 7 8 9
#             median=radius=2: frames 0 1 2 3 4 5 6 7 8 9 at 0 1 2 3 4 5 6 7 8 9
#             atadenoise=s=5: frames 0 1 2 3 4 5 6 7 8 9 at 0 1 2 3 4 5 6 7 8 9
#             tmedian=radius=1: frames 1 2 3 4 5 6 7 8 at 0 1 2 3 4 5 6 7
#             tmedian=radius=2: frames 2 3 4 5 6 7 at 0 1 2 3 4 5
#             tmedian=radius=4: frames 4 5 at 0 1
#             tmedian=radius=5: frames at
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
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: 'av==19.0.2' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
from fractions import Fraction

import av
import numpy as np

HEIGHT, WIDTH = 32, 48
SECONDS = Fraction(1, 25)


def run(filter, options):
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add('buffer', f'video_size={WIDTH}x{HEIGHT}:pix_fmt=gray:time_base={SECONDS}:frame_rate={1 / SECONDS}'),
        graph.add(filter, options),
        graph.add('buffersink'),
    ).configure()
    for number in range(10):
        pixels = np.full((HEIGHT, WIDTH), 20 + 20 * number, np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format='gray')
        frame.pts, frame.time_base, frame.duration = number, SECONDS, 1
        graph.push(frame)
    graph.push(None)
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield round(float(frame.to_ndarray().mean())) // 20 - 1, frame.pts * frame.time_base / SECONDS


print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}')
for filter, options in (
    ('null', ''),
    ('median', 'radius=2'),
    ('atadenoise', 's=5'),
    ('tmedian', 'radius=1'),
    ('tmedian', 'radius=2'),
    ('tmedian', 'radius=4'),
    ('tmedian', 'radius=5'),
):
    seen = list(run(filter, options))
    name = f'{filter}={options}' if options else filter
    print(f'{name}: frames', *(frame for frame, _ in seen), 'at', *(time for _, time in seen))
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2
null: frames 0 1 2 3 4 5 6 7 8 9 at 0 1 2 3 4 5 6 7 8 9
median=radius=2: frames 0 1 2 3 4 5 6 7 8 9 at 0 1 2 3 4 5 6 7 8 9
atadenoise=s=5: frames 0 1 2 3 4 5 6 7 8 9 at 0 1 2 3 4 5 6 7 8 9
tmedian=radius=1: frames 1 2 3 4 5 6 7 8 at 0 1 2 3 4 5 6 7
tmedian=radius=2: frames 2 3 4 5 6 7 at 0 1 2 3 4 5
tmedian=radius=4: frames 4 5 at 0 1
tmedian=radius=5: frames at'
