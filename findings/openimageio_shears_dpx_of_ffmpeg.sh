#!/bin/sh
# OpenImageIO reads DPX files of 8 bits that FFmpeg wrote as sheared images, whose colors turn with each row, where the
# bytes of a row are no multiple of 4, as at 1998 x 1080 of digital cinema: FFmpeg begins each row at a word of 32 bits,
# OpenImageIO where the last one ended. With 16 bits it is so at odd widths. Nothing is raised.
#
# Version:    OpenImageIO 3.2.2.0, av 19.0.2 (wheel for Linux x86-64, with FFmpeg 9.0.2), numpy 2.5.5, Python 3.13,
#             2026-12-01
# Expected:   the pixels that were written, or an exception. FFmpeg reads both kinds of files. SMPTE ST 268 packs image
#             data in words of 32 bits; RAWcooked, which archives use, says of scanners whose DPX files lack the padding
#             to 32 bits at the end of a line that they do not conform (its pull request 384). The length of the file
#             tells the two apart. The documentation of OpenImageIO names dpx:EndOfLinePadding, which is 0 in FFmpeg's
#             files, and says nothing of rows that are no whole words.
# Seen:       version 3.2.2.0, FFmpeg 9.0.2
#             rgb24, 1996 wide: a row is 5988 bytes; pixels read wrong: FFmpeg 0%, OpenImageIO 0%
#             rgb24, 1998 wide: a row is 5994 + 2 bytes; pixels read wrong: FFmpeg 0%, OpenImageIO 92%
#             rgb48le, 1998 wide: a row is 11988 bytes; pixels read wrong: FFmpeg 0%, OpenImageIO 0%
#             rgb48le, 1999 wide: a row is 11994 + 2 bytes; pixels read wrong: FFmpeg 0%, OpenImageIO 92%
#             gbrp10le, 1999 wide: a row is 7996 bytes; pixels read wrong: FFmpeg 0%, OpenImageIO 0%
#             written by OpenImageIO, 1998 wide: a row is 5994 bytes; pixels read wrong: FFmpeg 0%, OpenImageIO 0%
# Reported:   not yet
# With us:    nothing depends on it: sr_jax reads DPX by FFmpeg alone
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'av 19 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'OpenImageIO==3.2.2.0' 'av==19.0.2' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import os
import sys

import av
import numpy as np
import OpenImageIO as oiio

HEIGHT = 12
NAME = os.path.join(sys.argv[1], 'image.dpx')


def make(width, top):
    """An image in which no two pixels of a row, and no two rows, are alike."""
    y, x, channel = np.mgrid[:HEIGHT, :width, :3]
    return ((101 * x + 37 * y + 59 * channel + (x * y) % 89) % (top + 1)).astype(np.uint16 if top > 255 else np.uint8)


def write_ffmpeg(pixels, name):
    """Writes planes of 10 bits as they are, and colors pixel by pixel."""
    frame = av.VideoFrame(pixels.shape[1], HEIGHT, name)
    planes = [pixels[..., i] for i in (1, 2, 0)] if name.startswith('gbrp') else [pixels.reshape(HEIGHT, -1)]
    for plane, values in zip(frame.planes, planes):
        rows = np.zeros((HEIGHT, plane.line_size), np.uint8)
        values = np.ascontiguousarray(values).view(np.uint8)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    with av.open(NAME, 'w', format='image2', options={'update': '1'}) as output:
        stream = output.add_stream('dpx', rate=25)
        stream.width, stream.height, stream.pix_fmt = frame.width, HEIGHT, name
        output.mux(stream.encode(frame))
        output.mux(stream.encode())


def write_openimageio(pixels):
    spec = oiio.ImageSpec(pixels.shape[1], HEIGHT, 3, 'uint8')
    output = oiio.ImageOutput.create(NAME)
    assert output.open(NAME, spec) and output.write_image(pixels) and output.close()


def read_ffmpeg(name, depth):
    with av.open(NAME) as file:
        frame = next(file.decode(video=0))
    assert frame.format.name == name
    kind = np.uint8 if depth == 8 else np.uint16
    planes = [np.frombuffer(plane, np.uint8).reshape(HEIGHT, -1).view(kind) for plane in frame.planes]
    if name.startswith('gbrp'):
        return np.stack([planes[i][:, : frame.width] for i in (2, 0, 1)], -1)
    return planes[0][:, : 3 * frame.width].reshape(HEIGHT, -1, 3)


def read_openimageio(depth):
    pixels = oiio.ImageBuf(NAME).get_pixels('double')
    return np.round(pixels * (2**depth - 1))


def show(name, pixels, pixel_format, depth):
    size = os.path.getsize(NAME)
    with open(NAME, 'rb') as file:
        header = file.read(8)
    start = int.from_bytes(header[4:], 'big' if header[:4] == b'SDPX' else 'little')
    row, needed = (size - start) // HEIGHT, pixels.shape[1] * (4 if depth == 10 else 3 * depth // 8)
    assert (size - start) % HEIGHT == 0
    wrong = [
        f'{np.mean(np.any(found != pixels, -1)):.0%}'
        for found in (read_ffmpeg(pixel_format, depth), read_openimageio(depth))
    ]
    length = f'{needed} + {row - needed}' if row > needed else needed
    print(
        f'{name}, {pixels.shape[1]} wide: a row is {length} bytes; '
        f'pixels read wrong: FFmpeg {wrong[0]}, OpenImageIO {wrong[1]}'
    )


print(f'version {oiio.__version__}, FFmpeg {av.ffmpeg_version_info}')
for name, depth, width in (
    ('rgb24', 8, 1996),
    ('rgb24', 8, 1998),
    ('rgb48le', 16, 1998),
    ('rgb48le', 16, 1999),
    ('gbrp10le', 10, 1999),
):
    pixels = make(width, 2**depth - 1)
    write_ffmpeg(pixels, name)
    show(name, pixels, name, depth)
pixels = make(1998, 255)
write_openimageio(pixels)
show('written by OpenImageIO', pixels, 'rgb24', 8)
END

found=$("$folder/venv/bin/python" "$folder/show.py" "$folder")
echo "$found"
test "$found" = 'version 3.2.2.0, FFmpeg 9.0.2
rgb24, 1996 wide: a row is 5988 bytes; pixels read wrong: FFmpeg 0%, OpenImageIO 0%
rgb24, 1998 wide: a row is 5994 + 2 bytes; pixels read wrong: FFmpeg 0%, OpenImageIO 92%
rgb48le, 1998 wide: a row is 11988 bytes; pixels read wrong: FFmpeg 0%, OpenImageIO 0%
rgb48le, 1999 wide: a row is 11994 + 2 bytes; pixels read wrong: FFmpeg 0%, OpenImageIO 92%
gbrp10le, 1999 wide: a row is 7996 bytes; pixels read wrong: FFmpeg 0%, OpenImageIO 0%
written by OpenImageIO, 1998 wide: a row is 5994 bytes; pixels read wrong: FFmpeg 0%, OpenImageIO 0%'
