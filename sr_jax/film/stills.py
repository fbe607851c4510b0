"""Image files as frames of a film: upright, in the pixels that they are stored in."""

import concurrent.futures
import contextlib
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from sr_jax.errors import InputError, LastingError
from sr_jax.film import h273, tags
from sr_jax.film.decoding import Decoder
from sr_jax.film.ffmpeg import in_one_line, open_container
from sr_jax.film.fitting import fit
from sr_jax.film.formats import UNSPECIFIED, FrameKind, PixelFormat, Planes, is_subsampled
from sr_jax.film.pixels import describe, planes_of
from sr_jax.images.decoding import TURNED, ImageError, turn_upright
from sr_jax.images.files import read_outline

PNG = b'\x89PNG'


def read_still(path: Path) -> tuple[Planes, FrameKind]:
    """Reads an image as a frame, turned as its EXIF says.

    Chroma of half the size is turned as it is where it lies in the middle of whole pixels; other
    chroma is brought to the size of luma before.

    Returns:
      its planes [h, w], and what they hold; the color as the file says it, or of one that is turned
      as it is taken.

    Raises:
      InputError: it is no image that FFmpeg reads.
    """
    with contextlib.closing(Decoder(path)) as decoder:
        kind = _describe(path, decoder)
        planes = planes_of(decoder.first)
    orientation = _orientation(path)
    if orientation == 1:
        return planes, kind
    before, after = _turn_kind(kind, orientation)
    if before.pixels != kind.pixels:
        planes = fit(planes, kind.pixels, before, _taken(kind).color)
    turned = (turn_upright(plane[..., None], orientation)[..., 0] for plane in planes)
    return tuple(np.ascontiguousarray(plane) for plane in turned), after


def look_at(paths: Sequence[Path]) -> list[tuple[FrameKind, bool]]:
    """Returns what each of the images is, upright, and whether it lies otherwise.

    Few are decoded: of those whose headers are alike only the first.

    Raises:
      InputError: one is no image that FFmpeg reads.
    """
    with concurrent.futures.ThreadPoolExecutor() as pool:
        headers = list(pool.map(_read_header, paths))
    known: dict[Hashable, FrameKind] = {}
    found = []
    for path, (header, orientation) in zip(paths, headers, strict=True):
        if header not in known:
            with contextlib.closing(Decoder(path)) as decoder:
                known[header] = _describe(path, decoder)
        kind = known[header]
        found.append((_turn_kind(kind, orientation)[1], orientation != 1))
    return found


def choose_kind(kinds: Sequence[FrameKind]) -> FrameKind:
    """Returns what holds all frames without loss: the first one's size, and the pixels for it.

    RGB holds gray and YUV, YUV gray; the depth is the largest, and chroma's size too.
    """
    layouts = {kind.pixels.layout for kind in kinds}
    layout = next(each for each in ('rgb', 'yuv', 'gray') if each in layouts)
    like = [kind for kind in kinds if kind.pixels.layout == layout]
    pixels = PixelFormat(
        layout,
        max(kind.pixels.depth for kind in kinds),
        min(kind.pixels.horizontal for kind in like),
        min(kind.pixels.vertical for kind in like),
        any(kind.pixels.alpha for kind in kinds),
    )
    return kinds[0]._replace(pixels=pixels, color=like[0].color)


def bring_to(planes: Planes, kind: FrameKind, wanted: FrameKind) -> Planes:
    """Returns a frame with the size, the pixels and the colors of others; as it is if it has them.

    Args:
      planes: [h, w] each.
      kind: what they hold.
      wanted: what the others hold.
    """
    kind, wanted = _taken(kind), _taken(wanted)
    if kind[:3] == wanted[:3] and _samples(kind) == _samples(wanted):
        return planes
    return fit(planes, kind.pixels, wanted, kind.color)


def _taken(kind: FrameKind) -> FrameKind:
    return kind._replace(color=tags.resolve(kind.color, kind.pixels, kind.height))


def _samples(kind: FrameKind) -> tuple[str, str, str]:
    """Returns what of the colors says how samples become RGB."""
    return kind.color.matrix, kind.color.range, kind.color.chroma


def _describe(path: Path, decoder: Decoder) -> FrameKind:
    """Returns what an image is as it is stored."""
    frame = decoder.first
    try:
        pixels = describe(frame.format.name)
    except InputError as error:
        raise LastingError(f'{path}: {error}') from error
    return FrameKind(frame.height, frame.width, pixels, h273.read(decoder.context))


def _read_header(path: Path) -> tuple[Hashable, int]:
    """Returns what tells images apart that are stored otherwise, and the orientation.

    FFmpeg decodes a PNG to find its pixel format, which takes long for thousands of them.
    """
    with in_one_line(f'{path} cannot be read'):
        encoded = path.read_bytes()
    if encoded.startswith(PNG):
        head = encoded.partition(b'IDAT')[0]
        says = b'tRNS' in head, head.partition(b'cICP')[2][:4]
        return (encoded[16:29], *says), _orientation(path)
    with contextlib.closing(open_container(path)) as container:
        if not container.streams.video or container.streams.video[0].codec_context is None:
            return path, 1  # decoding says what is wrong
        context = container.streams.video[0].codec_context
        header = (context.name, context.pix_fmt, context.width, context.height)
    return header, _orientation(path)


def _orientation(path: Path) -> int:
    """Returns EXIF's orientation, 1 to 8; 1 (upright) of what only FFmpeg reads."""
    try:
        return read_outline(path).orientation
    except ImageError:
        return 1


def _turn_kind(kind: FrameKind, orientation: int) -> tuple[FrameKind, FrameKind]:
    """Returns what an image must be so that it can be turned, and what it is then."""
    if orientation == 1:
        return kind, kind
    before, pixels = _taken(kind), kind.pixels
    is_whole = kind.width % pixels.horizontal == kind.height % pixels.vertical == 0
    if is_subsampled(pixels) and not (is_whole and before.color.chroma == 'center'):
        pixels = pixels._replace(horizontal=1, vertical=1)
        before = before._replace(
            pixels=pixels, color=before.color._replace(chroma=UNSPECIFIED)
        )
    if orientation not in TURNED:
        return before, before
    turned = pixels._replace(horizontal=pixels.vertical, vertical=pixels.horizontal)
    return before, FrameKind(before.width, before.height, turned, before.color)
