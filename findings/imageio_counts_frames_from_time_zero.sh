#!/bin/sh
# imageio's plugin for PyAV takes the n-th frame of a film for the one at n / rate seconds of the file's own clock. Few
# recordings and cuts begin at 0 there: from the third frame on, imread gives earlier ones, or the first for any index.
# Nothing is raised. Who draws frames of films at random for training gets few of them, each one again and again.
#
# Version:    imageio 2.38.2, av 19.0.2, numpy 2.5.5, Python 3.13, 2026-12-01
# Expected:   what imiter gives, and imread with constant_framerate=False. The documentation of read says that with an
#             integer "this function reads the index-th frame from the file", and warns of B-frames, of which there are
#             none here. The films are ten frames of one level each, 25 a second, and begin where PyAV says. Program
#             streams (.mpg) do so at half a second without being asked to. Frames 0 and 1 are read without a seek; for
#             others, imageio counts from the last key frame, and takes that one's time for its number.
# Seen:       version 2.38.2
#             film.mp4, from 0.00 s:
#                 imiter: 0 1 2 3 4 5 6 7 8 9
#                 imread: 0 1 2 3 4 5 6 7 8 9
#                 imread, constant_framerate=False: 0 1 2 3 4 5 6 7 8 9
#             film.mp4, from 0.16 s:
#                 imiter: 0 1 2 3 4 5 6 7 8 9
#                 imread: 0 1 0 0 0 1 2 3 4 5
#                 imread, constant_framerate=False: 0 1 2 3 4 5 6 7 8 9
#             film.ts, from 0.00 s:
#                 imiter: 0 1 2 3 4 5 6 7 8 9
#                 imread: 0 1 2 3 4 5 6 7 8 9
#                 imread, constant_framerate=False: 0 1 2 3 4 5 6 7 8 9
#             film.ts, from 0.16 s:
#                 imiter: 0 1 2 3 4 5 6 7 8 9
#                 imread: 0 1 0 0 0 1 2 3 4 5
#                 imread, constant_framerate=False: 0 1 2 3 4 5 6 7 8 9
#             film.mpg, from 0.50 s:
#                 imiter: 0 1 2 3 4 5 6 7 8 9
#                 imread: 0 1 0 0 0 0 0 0 0 0
#                 imread, constant_framerate=False: 0 1 2 3 4 5 6 7 8 9
# Reported:   not yet
# With us:    nothing depends on it: sr_jax/film/decoding.py finds frames by their own times, with PyAV alone
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'imageio==2.38.2' 'av==19.0.2' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import imageio
import imageio.v3 as iio
import numpy as np

HEIGHT, WIDTH = 48, 64
FRAMES = range(10)
SECONDS = Fraction(1, 25)


def write(path, first):
    with av.open(path, 'w') as container:
        stream = container.add_stream('mpeg4', rate=1 / SECONDS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        for number in FRAMES:
            pixels = np.full((HEIGHT, WIDTH, 3), 20 + 20 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format='rgb24')
            frame.pts, frame.time_base = first + number, SECONDS
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def begin(path):
    with av.open(path) as container:
        return float(next(container.decode(video=0)).time)


def describe(images):
    return ' '.join(f'{round(np.median(image) / 20) - 1}' for image in images)


print('version', imageio.__version__)
with tempfile.TemporaryDirectory() as folder:
    for name, first in (('film.mp4', 0), ('film.mp4', 4), ('film.ts', 0), ('film.ts', 4), ('film.mpg', 0)):
        path = str(Path(folder) / name)
        write(path, first)
        print(f'{name}, from {begin(path):.2f} s:')
        print('    imiter:', describe(iio.imiter(path, plugin='pyav')))
        print('    imread:', describe(iio.imread(path, plugin='pyav', index=number) for number in FRAMES))
        found = (iio.imread(path, plugin='pyav', index=number, constant_framerate=False) for number in FRAMES)
        print('    imread, constant_framerate=False:', describe(found))
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 2.38.2
film.mp4, from 0.00 s:
    imiter: 0 1 2 3 4 5 6 7 8 9
    imread: 0 1 2 3 4 5 6 7 8 9
    imread, constant_framerate=False: 0 1 2 3 4 5 6 7 8 9
film.mp4, from 0.16 s:
    imiter: 0 1 2 3 4 5 6 7 8 9
    imread: 0 1 0 0 0 1 2 3 4 5
    imread, constant_framerate=False: 0 1 2 3 4 5 6 7 8 9
film.ts, from 0.00 s:
    imiter: 0 1 2 3 4 5 6 7 8 9
    imread: 0 1 2 3 4 5 6 7 8 9
    imread, constant_framerate=False: 0 1 2 3 4 5 6 7 8 9
film.ts, from 0.16 s:
    imiter: 0 1 2 3 4 5 6 7 8 9
    imread: 0 1 0 0 0 1 2 3 4 5
    imread, constant_framerate=False: 0 1 2 3 4 5 6 7 8 9
film.mpg, from 0.50 s:
    imiter: 0 1 2 3 4 5 6 7 8 9
    imread: 0 1 0 0 0 0 0 0 0 0
    imread, constant_framerate=False: 0 1 2 3 4 5 6 7 8 9'
