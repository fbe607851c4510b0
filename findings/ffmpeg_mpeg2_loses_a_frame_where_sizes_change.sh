#!/bin/sh
# Where an MPEG-2 stream changes its size, the frame that the decoder still holds is lost, without an error.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), Python 3.13, 2026-11-28
# Expected:   9 frames of 5 and 4. The stream is two video sequences, each closed by a sequence_end_code; after one, the
#             next may have another size (ISO/IEC 13818-2, 6.1.1.6: only inside a sequence do the sizes stay). Two
#             sequences of one size give all their frames.
# Seen:       version 19.0.2, FFmpeg 9.0.2
#             64x48 alone: 5 frames, 96x80 alone: 4 frames
#             64x48 and 64x48: 10 frames
#             64x48 and 96x80: 8 frames, the last of the first is 80 (made: 20 40 60 80 100)
#             96x80 and 64x48: 8 frames, the last of the first is 60 (made: 20 40 60 80)
# Reported:   not yet
# With us:    nothing brings the frame back: a film whose size changes is refused unless --sizes says otherwise
#             (sr_jax/film/reader.py)
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
import io

import av
import numpy as np

SEQUENCE_END = bytes([0, 0, 1, 0xB7])


def write(width, height, levels):
    """One sequence of flat grey frames, without B-frames."""
    file = io.BytesIO()
    with av.open(file, 'w', format='mpeg2video') as container:
        stream = container.add_stream('mpeg2video', rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        stream.codec_context.max_b_frames = 0
        for level in levels:
            frame = av.VideoFrame(width, height, 'yuv420p')
            for plane, value in zip(frame.planes, (level, 128, 128)):
                plane.update(bytes([value]) * plane.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue() + SEQUENCE_END


def read(data):
    """(width, luma) of every frame."""
    with av.open(io.BytesIO(data), format='mpegvideo') as container:
        return [(f.width, f.to_ndarray()[:8, :8].mean()) for f in container.decode(video=0)]


print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}')
small, large = write(64, 48, [20, 40, 60, 80, 100]), write(96, 80, [20, 40, 60, 80])
print(f'64x48 alone: {len(read(small))} frames, 96x80 alone: {len(read(large))} frames')
print(f'64x48 and 64x48: {len(read(small + small))} frames')
for data, width, title, made in (
    (small + large, 64, '64x48 and 96x80', '20 40 60 80 100'),
    (large + small, 96, '96x80 and 64x48', '20 40 60 80'),
):
    frames = read(data)
    last = round([level for wide, level in frames if wide == width][-1] / 20) * 20
    print(f'{title}: {len(frames)} frames, the last of the first is {last} (made: {made})')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2
64x48 alone: 5 frames, 96x80 alone: 4 frames
64x48 and 64x48: 10 frames
64x48 and 96x80: 8 frames, the last of the first is 80 (made: 20 40 60 80 100)
96x80 and 64x48: 8 frames, the last of the first is 60 (made: 20 40 60 80)'
