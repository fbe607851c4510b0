#!/bin/sh
# An encoder rounds the times of frames to whole frames of the stream's rate, whatever the frames and the stream say.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), Python 3.13, 2026-11-28
# Expected:   the times that were given. Each frame brings pts and time_base, "the time at which the frame should be
#             shown to the user" (PyAV's documentation of Frame.pts), stream.time_base can be set without an error, and
#             Matroska holds milliseconds. Only codec_context.time_base, set before the first frame, keeps a variable
#             rate as it was.
# Seen:       version 19.0.2, FFmpeg 9.0.2
#             given 0 40 73 140 200
#             nothing set: 0 40 80 160 200
#             stream.time_base set: 0 40 80 160 200
#             codec_context.time_base set: 0 40 73 140 200
# Reported:   PyAV-Org/PyAV issue 1959 describes it, open
# With us:    sr_jax/film/encoders.py (configure) sets the time base of the codec's context
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'av 19 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: 'av==19.0.2' || exit 1

cat > "$folder/show.py" <<'END'
import io
from fractions import Fraction

import av

HEIGHT, WIDTH = 32, 48
TICK = Fraction(1, 1000)
TIMES = (0, 40, 73, 140, 200)  # ms


def make_film(set_up):
    file = io.BytesIO()
    with av.open(file, 'w', format='matroska') as output:
        stream = output.add_stream('ffv1', rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        set_up(stream)
        for time in TIMES:
            frame = av.VideoFrame(WIDTH, HEIGHT, 'yuv420p')
            for plane in frame.planes:
                plane.update(b'\x80' * plane.buffer_size)
            frame.pts, frame.time_base = time, TICK
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    file.seek(0)
    return file


print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}')
print('given', *TIMES)
for name, set_up in (
    ('nothing set', lambda stream: None),
    ('stream.time_base set', lambda stream: setattr(stream, 'time_base', TICK)),
    ('codec_context.time_base set', lambda stream: setattr(stream.codec_context, 'time_base', TICK)),
):
    with av.open(make_film(set_up)) as film:
        print(f'{name}:', *(round(1000 * frame.time) for frame in film.decode(video=0)))
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2
given 0 40 73 140 200
nothing set: 0 40 80 160 200
stream.time_base set: 0 40 80 160 200
codec_context.time_base set: 0 40 73 140 200'
