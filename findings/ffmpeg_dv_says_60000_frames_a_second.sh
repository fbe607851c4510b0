#!/bin/sh
# The average rate of a raw DV file (a capture of a tape) is 60,000 frames a second.
#
# Version:    av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), Python 3.13, 2026-11-28
# Expected:   25 (625 lines) and 30000/1001 (525 lines) from `average_rate`, PyAV's "average frame rate of this video
#             stream", FFmpeg's avg_frame_rate: DV has no other rates (IEC 61834), and the times and the duration of the
#             same file are right. In AVI, the same packets have the right one.
# Seen:       version 19.0.2, FFmpeg 9.0.2
#             625 lines, raw DV: average rate 60000, base rate 25, times 0 1/25 2/25
#             625 lines, AVI: average rate 25, base rate 25, times 0 1/25 2/25
#             525 lines, raw DV: average rate 60000, base rate 30000/1001, times 0 1001/30000 1001/15000
#             525 lines, AVI: average rate 30000/1001, base rate 30000/1001, times 0 1001/30000 1001/15000
# Reported:   not yet
# With us:    sr_jax/film/ffmpeg.py takes the nominal rate where the average one is many times that
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


def fraction(rate):
    return Fraction(rate.numerator, rate.denominator)


print(f'version {av.__version__}, FFmpeg {av.ffmpeg_version_info}')
for lines, height, rate, pixels in (
    (625, 576, Fraction(25), 'yuv420p'),
    (525, 480, Fraction(30000, 1001), 'yuv411p'),
):
    for title, container in (('raw DV', 'dv'), ('AVI', 'avi')):
        file = io.BytesIO()
        with av.open(file, 'w', format=container) as output:
            stream = output.add_stream('dvvideo', rate=rate)
            stream.width, stream.height, stream.pix_fmt = 720, height, pixels
            for level in (40, 80, 120):
                frame = av.VideoFrame(720, height, pixels)
                for plane, value in zip(frame.planes, (level, 128, 128)):
                    plane.update(bytes([value]) * plane.buffer_size)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        file.seek(0)
        with av.open(file) as source:
            stream = source.streams.video[0]
            average, base = fraction(stream.average_rate), fraction(stream.base_rate)
            unit = fraction(stream.time_base)
            times = ' '.join(str(frame.pts * unit) for frame in source.decode(stream))
        print(f'{lines} lines, {title}: average rate {average}, base rate {base}, times {times}')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 19.0.2, FFmpeg 9.0.2
625 lines, raw DV: average rate 60000, base rate 25, times 0 1/25 2/25
625 lines, AVI: average rate 25, base rate 25, times 0 1/25 2/25
525 lines, raw DV: average rate 60000, base rate 30000/1001, times 0 1001/30000 1001/15000
525 lines, AVI: average rate 30000/1001, base rate 30000/1001, times 0 1001/30000 1001/15000'
