#!/bin/sh
# The sample aspect ratio that is set on an encoder is not in the Matroska file, unless the codec holds it itself.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), Python 3.13, 2026-11-28
# Expected:   16/15 in all four files. Matroska has a place for it (DisplayWidth and DisplayHeight, RFC 9559), MP4 gets
#             it, and stream.sample_aspect_ratio of the output says 16/15 while it is written. Setting it there instead
#             changes nothing.
# Seen:       version 19.0.2, FFmpeg 9.0.2
#             libx264 in mp4: 16/15 while written, 16/15 read back
#             libx264 in matroska: 16/15 while written, 16/15 read back
#             ffv1 in mp4: 16/15 while written, 16/15 read back
#             ffv1 in matroska: 16/15 while written, 0/1 read back
# Reported:   PyAV-Org/PyAV issue 764 describes it, closed as stale
# With us:    sr_jax/film/muxing.py refuses to write such films, by WITHOUT_ASPECT of sr_jax/film/encoders.py
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

HEIGHT, WIDTH, FRAMES = 96, 120, 3
ASPECT = Fraction(16, 15)  # PAL, 4:3


def make_film(codec, container):
    """Returns a film, and what its stream said of its pixels while it was written."""
    file = io.BytesIO()
    with av.open(file, 'w', format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        stream.codec_context.sample_aspect_ratio = ASPECT
        for _ in range(FRAMES):
            frame = av.VideoFrame(WIDTH, HEIGHT, 'yuv420p')
            for plane in frame.planes:
                plane.update(b'\x80' * plane.buffer_size)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
        said = stream.sample_aspect_ratio
    file.seek(0)
    return file, said


print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}')
for codec in ('libx264', 'ffv1'):
    for container in ('mp4', 'matroska'):
        file, said = make_film(codec, container)
        with av.open(file) as film:
            read = film.streams.video[0].sample_aspect_ratio
        print(f'{codec} in {container}: {said} while written, {read} read back')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2
libx264 in mp4: 16/15 while written, 16/15 read back
libx264 in matroska: 16/15 while written, 16/15 read back
ffv1 in mp4: 16/15 while written, 16/15 read back
ffv1 in matroska: 16/15 while written, 0/1 read back'
