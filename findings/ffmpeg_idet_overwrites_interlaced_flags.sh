#!/bin/sh
# The filter idet, which looks whether frames are interlaced, writes what it thinks over the frames' own flags.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), Python 3.13, 2026-11-28
# Expected:   flags as they were, and idet's opinion in the metadata. FFmpeg's documentation of idet says that it logs
#             metadata, and of flags only under analyze_interlaced_flag: "When this is not 0" it clears flags that are
#             wrong; 0 is the default. After idet, bwdif with deint=interlaced leaves frames that the stream flags, and
#             changes others.
# Seen:       version 19.0.2, FFmpeg 9.0.2
#             smooth: 9 of 9 frames flagged as interlaced by the decoder, 0 after idet
#             combed: 0 of 9 frames flagged as interlaced by the decoder, 9 after idet
# Reported:   not yet
# With us:    sr_jax/film/survey.py counts the flags before frames go into the filter
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

import av

HEIGHT, WIDTH, FRAMES = 32, 48, 9


def make_frame(place, combed):
    """Returns a white bar that moves: at once, or its odd rows half a frame later."""
    frame = av.VideoFrame(WIDTH, HEIGHT, 'yuv420p')
    luma, *chroma = frame.planes
    rows = []
    for row in range(HEIGHT):
        left = 4 * place + (2 if combed and row % 2 else 0)
        rows.append((b'\x10' * left + b'\xeb' * 8).ljust(luma.line_size, b'\x10'))
    luma.update(b''.join(rows))
    for plane in chroma:
        plane.update(b'\x80' * plane.buffer_size)
    return frame


def make_film(combed, flagged):
    file = io.BytesIO()
    with av.open(file, 'w', format='matroska') as output:
        options = {'x264-params': 'tff=1'} if flagged else {}
        stream = output.add_stream('libx264', rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        for place in range(FRAMES):
            output.mux(stream.encode(make_frame(place, combed)))
        output.mux(stream.encode())
    file.seek(0)
    return file


def pass_through_idet(frames):
    graph = av.filter.Graph()
    source = graph.add_buffer(width=WIDTH, height=HEIGHT, format='yuv420p', time_base=frames[0].time_base)
    graph.link_nodes(source, graph.add('idet'), graph.add('buffersink')).configure()
    for frame in [*frames, None]:
        graph.vpush(frame)
    return [graph.vpull() for _ in frames]


print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}')
for combed, flagged in ((False, True), (True, False)):
    with av.open(make_film(combed, flagged)) as film:
        frames = list(film.decode(video=0))
    before = sum(frame.interlaced_frame for frame in frames)
    after = sum(frame.interlaced_frame for frame in pass_through_idet(frames))
    kind = 'combed' if combed else 'smooth'
    print(f'{kind}: {before} of {len(frames)} frames flagged as interlaced by the decoder, {after} after idet')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2
smooth: 9 of 9 frames flagged as interlaced by the decoder, 0 after idet
combed: 0 of 9 frames flagged as interlaced by the decoder, 9 after idet'
