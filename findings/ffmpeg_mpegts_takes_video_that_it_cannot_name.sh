#!/bin/sh
# MPEG-TS takes FFV1, ProRes and VP9 without an error, and whoever reads the file finds no video in it.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), Python 3.13, 2026-11-28
# Expected:   a refusal when the stream is added or the head written, as MOV refuses FFV1 ("'mov' format does not
#             support 'ffv1' codec"). FFmpeg does warn, in its log alone: "muxed as a private data stream and may not be
#             recognized upon reading"; PyAV shows no log unless told to.
# Seen:       version 19.0.2, FFmpeg 9.0.2
#             libx264 in mpegts: written; read back: video
#             ffv1 in mpegts: written; read back: data
#             prores_ks in mpegts: written; read back: data
#             libvpx-vp9 in mpegts: written; read back: data
#             ffv1 in mov: refused
# Reported:   not yet
# With us:    sr_jax/film/encoders.py (NOT_IN) and sr_jax/film/streams.py (IN_MPEGTS) say what MPEG-TS is not to be
#             given
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
import random

import av

HEIGHT, WIDTH, FRAMES = 48, 64, 5


def make_film(codec, pix_fmt, container):
    noise = random.Random(0)
    file = io.BytesIO()
    with av.open(file, 'w', format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        for _ in range(FRAMES):
            frame = av.VideoFrame(WIDTH, HEIGHT, 'yuv420p')
            for plane in frame.planes:
                plane.update(noise.randbytes(plane.buffer_size))
            output.mux(stream.encode(frame.reformat(format=pix_fmt)))
        output.mux(stream.encode())
    file.seek(0)
    return file


print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}')
for codec, pix_fmt in (
    ('libx264', 'yuv420p'),
    ('ffv1', 'yuv420p'),
    ('prores_ks', 'yuv422p10le'),
    ('libvpx-vp9', 'yuv420p'),
):
    with av.open(make_film(codec, pix_fmt, 'mpegts')) as film:
        kinds = ', '.join(stream.type for stream in film.streams)
        print(f'{codec} in mpegts: written; read back: {kinds}')
try:
    make_film('ffv1', 'yuv420p', 'mov')
except ValueError:
    print('ffv1 in mov: refused')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2
libx264 in mpegts: written; read back: video
ffv1 in mpegts: written; read back: data
prores_ks in mpegts: written; read back: data
libvpx-vp9 in mpegts: written; read back: data
ffv1 in mov: refused'
