#!/bin/sh
# Frames of H.264 with B-frames in AVI come in the order of showing, but with times in the order of decoding.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), Python 3.13, 2026-11-28
# Expected:   times that rise with the frames, or none: pts is "the time at which the frame should be shown to the user"
#             (PyAV's documentation of Frame.pts). AVI says only when packets are decoded, but times of MPEG-4 from AVI
#             rise. Who sorts frames by pts puts the pictures in the wrong order.
# Seen:       version 19.0.2, FFmpeg 9.0.2
#             libx264 in matroska: frames [0, 1, 2, 3, 4, 5, 6, 7], at [0, 1, 2, 3, 4, 5, 6, 7]
#             mpeg4 in avi: frames [0, 1, 2, 3, 4, 5, 6, 7], at [1, 2, 3, 4, 5, 6, 7, 8]
#             libx264 in avi: frames [0, 1, 2, 3, 4, 5, 6, 7], at [1, 3, 4, 2, 6, 7, 5, 8]
# Reported:   PyAV-Org/PyAV issue 534 describes it, open since 2019
# With us:    sr_jax/film/timestamps.py (Clock) takes the times of decoding first, for what decoding.py lists
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
import math

import av

HEIGHT, WIDTH, FRAMES = 48, 64, 8
OPTIONS = {'bf': '2', 'x264-params': 'b-adapt=0:b-pyramid=0:scenecut=0'}


def make_frame(place):
    """Returns waves that move, below a band whose gray tells which frame it is."""
    frame = av.VideoFrame(WIDTH, HEIGHT, 'yuv420p')
    luma, *chroma = frame.planes
    waves = bytes(round(128 + 60 * math.sin((x + 2 * place) / 5)) for x in range(luma.line_size))
    band = bytes([16 + 20 * place]) * luma.line_size
    luma.update(band * 8 + waves * (HEIGHT - 8))
    for plane in chroma:
        plane.update(b'\x80' * plane.buffer_size)
    return frame


def make_film(codec, container):
    file = io.BytesIO()
    with av.open(file, 'w', format=container) as output:
        stream = output.add_stream(codec, rate=25, options=OPTIONS if codec == 'libx264' else {'bf': '2'})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        for place in range(FRAMES):
            output.mux(stream.encode(make_frame(place)))
        output.mux(stream.encode())
    file.seek(0)
    return file


print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}')
for codec, container in (('libx264', 'matroska'), ('mpeg4', 'avi'), ('libx264', 'avi')):
    with av.open(make_film(codec, container)) as film:
        frames = list(film.decode(video=0))
    shown = [round((bytes(frame.planes[0])[0] - 16) / 20) for frame in frames]
    times = [round(25 * frame.time) for frame in frames]
    print(f'{codec} in {container}: frames {shown}, at {times}')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2
libx264 in matroska: frames [0, 1, 2, 3, 4, 5, 6, 7], at [0, 1, 2, 3, 4, 5, 6, 7]
mpeg4 in avi: frames [0, 1, 2, 3, 4, 5, 6, 7], at [1, 2, 3, 4, 5, 6, 7, 8]
libx264 in avi: frames [0, 1, 2, 3, 4, 5, 6, 7], at [1, 3, 4, 2, 6, 7, 5, 8]'
