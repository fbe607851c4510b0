"""Images and films through a network, as jobs of the page."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from sr_jax.errors import InputError
from sr_jax.images.background import parse_color
from sr_jax.images.encoding import Encoding
from sr_jax.images.files import read_layers, read_outline, save_layers
from sr_jax.images.formats import WRITTEN
from sr_jax.page.jobs import Job
from sr_jax.page.page import Page
from sr_jax.page.store import Kept

IMAGES, FILMS = 'images', 'films'
CONTAINERS = ('mp4', 'mkv', 'mov', 'webm')
FORMATS = ('png', 'jpg', 'webp', 'tif', 'gif', 'avif')
SHOWN = ('.png', '.apng', '.jpg', '.jpeg', '.jpe', '.jfif', '.webp', '.gif', '.avif')
PREVIEW = Fraction(5)  # seconds
LOADING = 'loading the network'


class ImageWish(NamedTuple):
    """How images are to be enlarged.

    Attributes:
      network: its name.
      factor: output pixels per pixel along a side; 0: the network's scale.
      format: of the results, one of `FORMATS`.
      quality: from 1 to 100, of formats that have one; 0: the usual one.
      lossless: of WebP: every pixel as it is.
      background: what is laid behind transparency; '': nothing.
      tile: the longest side of parts, in pixels; 0: as memory allows.
    """

    network: str
    factor: float = 0
    format: str = 'png'
    quality: int = 0
    lossless: bool = False
    background: str = ''
    tile: int = 0


class FilmWish(NamedTuple):
    """How a film is to be enlarged.

    Attributes:
      network, factor: as of images.
      container: of the result: mp4, mkv, mov or webm.
      codec: the encoder.
      quality: of the encoder, lower is better; 0: the usual one.
      compare: the left half enlarged bicubically.
      preview: the five seconds in the middle alone.
    """

    network: str
    factor: float = 0
    container: str = 'mp4'
    codec: str = 'libx264'
    quality: float = 0
    compare: bool = False
    preview: bool = False


def enlarge_images(page: Page, owner: str, keys: Sequence[str], wish: ImageWish) -> int:
    """Has images enlarged; returns how many.

    Raises:
      InputError: a file, a network or a number that cannot be meant, or too many jobs.
    """
    page.networks.find(wish.network)
    _check_numbers(wish.factor, wish.tile)
    how = _read_encoding(wish)
    color = parse_color(wish.background) if wish.background else None
    images = page.find_files(keys)
    sizes = [read_outline(image.path).size for image in images]

    def make_job(image: Kept) -> Job:
        target = page.store.place(f'{image.path.stem}.{wish.format}')

        def work(job: Job) -> dict[str, Any]:
            from sr_jax.inference.image_file import enlarge_file  # it imports JAX

            job.show(0, 0, LOADING)
            upscaler = page.networks.upscaler(wish.network, tile=wish.tile)
            factor = wish.factor or upscaler.scale
            _check_pixels(page, image, factor)
            upscaler.prepare(sizes)  # those of one call share a window, as of the command
            notes: list[str] = []
            job.show(0, 0)
            enlarge_file(
                image.path,
                target.path,
                upscaler,
                factor,
                background=color,
                how=how,
                progress=job.show,
                report=notes.append,
            )
            return _describe_images(image, target, notes)

        return Job(owner, IMAGES, image.path.name, work, [image.id], [target.id])

    jobs = [make_job(image) for image in images]
    page.submit(owner, jobs)
    return len(jobs)


def enlarge_film(page: Page, owner: str, keys: Sequence[str], wish: FilmWish) -> None:
    """Has a film enlarged; begun again it goes on where it was ended.

    Raises:
      InputError: a file, a network or a number that cannot be meant, or too many jobs.
    """
    page.networks.find(wish.network)
    _check_numbers(wish.factor, wish.quality)
    if wish.container not in CONTAINERS:
        raise InputError(f'{wish.container!r} is no container: take {", ".join(CONTAINERS)}')
    film = page.find_files(keys)[0]
    part = 'preview' if wish.preview else 'enlarged'
    target = page.store.place(f'{film.path.stem}_{part}.{wish.container}')

    def work(job: Job) -> dict[str, Any]:
        from sr_jax.inference.film.job import FilmJob  # it imports JAX and PyAV
        from sr_jax.inference.film.options import FilmOptions

        job.show(0, 0, LOADING)
        upscaler = page.networks.upscaler(wish.network, bounded=False)
        options = FilmOptions(
            outscale=wish.factor or None,
            codec=wish.codec,
            quality=wish.quality or None,
            compare=wish.compare,
            preview=PREVIEW if wish.preview else None,
        )
        lines: list[str] = []
        made = FilmJob(upscaler, film.path, target.path, options, report=lines.append)
        result = made.run(
            show=lambda progress: job.show(progress.done, progress.total, str(progress))
        )
        found = {'file': describe_file(target), 'notes': result.problems}
        if wish.container in ('mp4', 'webm'):
            found['video'] = target.id
        return found

    name = f'{film.path.name} ({part})'
    page.submit(owner, [Job(owner, FILMS, name, work, [film.id], [target.id])])


def _check_numbers(factor: float, other: float) -> None:
    if not 0 <= factor <= 64:
        raise InputError(f"{factor:g} is no factor: take one up to 64, or 0 for the network's own")
    if not 0 <= other < 2**20:
        raise InputError(f'{other:g} is no such number: take one from 0 on')


def _read_encoding(wish: ImageWish) -> Encoding:
    if wish.format not in FORMATS:
        raise InputError(f'{wish.format!r} is no format: take one of {", ".join(FORMATS)}')
    form = WRITTEN[f'.{wish.format}']
    if wish.quality and not 1 <= wish.quality <= 100:
        raise InputError(f'{wish.quality} is no quality: take 1 to 100')
    is_lossless = wish.lossless and wish.format == 'webp'
    has_quality = form.has_quality and not is_lossless
    return Encoding(wish.quality or None if has_quality else None, is_lossless)


def _check_pixels(page: Page, image: Kept, factor: float) -> None:
    """Raises InputError for a result that is larger than the page makes."""
    outline = read_outline(image.path)
    pixels = math.prod(outline.size) * factor**2 * outline.frames * outline.pages
    if pixels > page.limits.result_pixels:
        raise InputError(
            f'{image.path.name}: its result would have {pixels / 1e6:.0f} megapixels, and the page '
            f'makes up to {page.limits.result_pixels / 1e6:.0f}: take a smaller factor, or the '
            'command sr-jax upscale'
        )


def _describe_images(image: Kept, target: Kept, notes: Sequence[str]) -> dict[str, Any]:
    """What the page shows of an image and what was made of it."""
    for kept in (image, target):
        _make_view(kept)
    height, width = read_outline(target.path).size
    return dict(
        file=describe_file(target),
        notes=list(notes),
        before=image.id,
        after=target.id,
        width=width,
        height=height,
    )


def _make_view(kept: Kept) -> None:
    """Lays a PNG beside an image that browsers do not show."""
    if kept.path.suffix.lower() not in SHOWN and not kept.view.exists():
        save_layers(kept.view, read_layers(kept.path))


def describe_file(kept: Kept) -> dict[str, Any]:
    """What a link to a file says."""
    return dict(id=kept.id, name=kept.path.name, bytes=kept.path.stat().st_size)
