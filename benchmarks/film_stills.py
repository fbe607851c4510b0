"""Stills of a made old tape, before and after, to be looked at.

  python benchmarks/film_stills.py SCENE MOVING stills/

Two photographs, the one moving over the other, become an interlaced film with what video recorders
do to one: soft luma, softer chroma that lies beside it, noise, gray blacks, and lines displaced at
the bottom. It is enlarged by realesr-animevideov3 as it is, deinterlaced, and with all the steps
for tapes; beside that stands the film itself, enlarged bicubically. One PNG holds the four.
"""

import argparse
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image
from scipy import ndimage

import sr_jax
from sr_jax.film.color import MATRICES
from sr_jax.inference import networks
from sr_jax.inference.film.options import parse_tape

SIZE = 288, 352
FRAMES = 16
STILL = 9  # the frame that is looked at
RATE = 25
TAPE = 'crop,chroma,denoise,levels'


def photo(path: Path, height: int, width: int) -> np.ndarray:
    """A photograph's middle in [0, 1], of that size."""
    with Image.open(path) as image:
        scale = max(height / image.height, width / image.width)
        sides = (round(image.width * scale) + 1, round(image.height * scale) + 1)
        pixels = np.asarray(image.convert('RGB').resize(sides, Image.Resampling.LANCZOS))
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width] / 255.0


def moments(scene: np.ndarray, moving: np.ndarray) -> Iterator[np.ndarray]:
    """The scene 50 times a second, with the other photograph on its way to the right."""
    high, wide = moving.shape[:2]
    for number in range(2 * FRAMES):
        image, left = scene.copy(), 20 + 4 * number
        image[90 : 90 + high, left : left + wide] = moving
        yield image


def record(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a recorder makes of a moment: luma and chroma [h, w, 3]."""
    parts = image @ MATRICES['bt601'].T
    luma = ndimage.gaussian_filter1d(parts[..., 0], 0.9, axis=1)
    luma = 0.05 + 0.87 * luma + rng.normal(0, 0.025, luma.shape)
    chroma = ndimage.gaussian_filter1d(parts[..., 1:], 3.5, axis=1)
    chroma = np.roll(chroma, (2, 4), axis=(0, 1))
    grain = ndimage.gaussian_filter1d(rng.normal(0, 0.09, chroma.shape), 3.0, axis=1)
    made = np.dstack([luma, chroma + grain])
    for line in range(1, 8):  # after the switch of heads
        made[-line] = np.roll(made[-line], 4 * (8 - line) + rng.integers(6), axis=0)
    return made


def make_tape(path: Path, scene: np.ndarray, moving: np.ndarray) -> None:
    """Writes the film: two moments to a frame, the upper field first."""
    rng = np.random.default_rng(0)
    height, width = SIZE
    with av.open(str(path), 'w') as output:
        stream = output.add_stream('libx264', rate=RATE, width=width, height=height)
        stream.pix_fmt = 'yuv420p'
        stream.options = {'crf': '12', 'flags': '+ildct+ilme', 'x264-params': 'tff=1'}
        fields = [record(image, rng) for image in moments(scene, moving)]
        for number in range(FRAMES):
            woven = fields[2 * number].copy()
            woven[1::2] = fields[2 * number + 1][1::2]
            frame = av.VideoFrame(width, height, 'yuv420p')
            chroma = (woven[0::4, :, 1:] + woven[2::4, :, 1:]) / 2, (
                woven[1::4, :, 1:] + woven[3::4, :, 1:]
            ) / 2
            both = np.stack(chroma, axis=1).reshape(height // 2, width, 2)[:, ::2]
            planes = [219 * woven[..., 0] + 16, *(224 * both[..., i] + 128 for i in (0, 1))]
            for plane, values in zip(frame.planes, planes, strict=True):
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
                rows[:, : plane.width] = values.round().clip(1, 254)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def still(film: Path, **options: object) -> np.ndarray:
    """One enlarged frame."""
    start = Fraction(STILL, RATE)
    frames = sr_jax.enlarged_frames(film, start=start, end=start + Fraction(1, RATE), **options)
    return next(iter(frames)).pixels


def main() -> None:
    """Writes the stills."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('scene', type=Path)
    parser.add_argument('moving', type=Path)
    parser.add_argument('output', type=Path)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    network = networks.load('realesr-animevideov3')
    with tempfile.TemporaryDirectory() as name:
        film = Path(name) / 'tape.mkv'
        make_tape(film, photo(args.scene, *SIZE), photo(args.moving, 110, 90))
        with av.open(str(film)) as opened:
            frames = list(opened.decode(video=0))
        given = Image.fromarray(frames[STILL].to_ndarray(format='rgb24'))
        height, width = SIZE
        enlarged = given.resize((4 * width, 4 * height), Image.Resampling.BICUBIC)
        stills = {'film': np.asarray(enlarged)}
        stills['as it is'] = still(film, weights=network, deinterlace='off')
        stills['deinterlaced'] = still(film, weights=network)
        stills['tape'] = still(film, weights=network, tape=parse_tape(TAPE))
    for name, pixels in stills.items():
        Image.fromarray(pixels).save(args.output / f'{name.replace(" ", "_")}.png')
        print(name, pixels.shape)


if __name__ == '__main__':
    main()
