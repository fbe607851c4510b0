"""An image file through a network into another file: frames, pages, metadata and all."""

from collections.abc import Callable, Iterator
from pathlib import Path

from sr_jax.images import encoding
from sr_jax.images.background import lay_over
from sr_jax.images.decoding import Layers, Outline
from sr_jax.images.encoding import USUAL, Encoding
from sr_jax.images.files import (
    read_all,
    read_layers,
    read_outline,
    read_timing,
    save_animation,
    save_pages,
    written_format,
)
from sr_jax.inference.layers import enlarge, scale_size
from sr_jax.inference.room import check_memory
from sr_jax.inference.upscaler import Upscaler


def enlarge_file(
    path: Path,
    target: Path,
    upscaler: Upscaler,
    outscale: float | None = None,
    *,
    background: tuple[int, int, int] | None = None,
    how: Encoding = USUAL,
    sample: int = 0,
    progress: Callable[[int, int], None] = lambda done, count: None,
    report: Callable[[str], None] = lambda line: None,
) -> Outline:
    """Writes an enlarged image file, an animation or pages included.

    Args:
      path: the image.
      target: its suffix says how the result is written.
      upscaler: the network.
      outscale: output pixels per pixel along a side; None: the network's scale.
      background: levels, of 256, of what is laid behind transparency.
      how: it is encoded.
      sample: which of the images that a flow draws.
      progress: is given how many windows of all frames are done, and about how many there are;
        what it raises ends the work, and nothing is written.
      report: is given a line about what the format cannot hold of the metadata.

    Returns:
      What the header of the image tells.

    Raises:
      InputError: the image cannot be read, the format cannot hold the result, the memory does not
        suffice, or what the network makes is not finite.
    """
    outline = read_outline(path)
    outscale = upscaler.scale if outscale is None else outscale
    form, count = written_format(target), outline.frames * outline.pages
    size = scale_size(outline.size, outscale)
    encoding.check(form, size, str(path), frames=outline.frames, pages=outline.pages)
    made: list[Layers] = []
    tally = _Tally(count, progress)
    for layers in _read_frames(path, outline):
        if background:
            layers = lay_over(layers, background)
        size = scale_size(layers.color.shape[:2], outscale)
        encoding.check(form, size, str(path), has_alpha=layers.alpha is not None)
        check_memory(layers, upscaler.scale, size, outline.frames, str(path))
        for lost in () if made else encoding.left_out(layers, form):
            report(f'left out: {lost}')
        made.append(enlarge(layers, upscaler, outscale, tally.show, sample))
        tally.end_frame()
    if outline.frames > 1:
        save_animation(target, made, read_timing(path), how)
    else:
        save_pages(target, made, how)
    return outline


class _Tally:
    """Counts the windows of all frames; those to come are taken to have as many as this one."""

    def __init__(self, frames: int, progress: Callable[[int, int], None]):
        self._left, self._progress = frames, progress
        self._before = self._windows = 0

    def show(self, done: int, windows: int) -> None:
        """Reports how many windows of a frame are done."""
        self._windows = windows
        self._progress(self._before + done, self._before + windows * self._left)

    def end_frame(self) -> None:
        """Goes on to the next frame."""
        self._before, self._left = self._before + self._windows, self._left - 1


def _read_frames(path: Path, outline: Outline) -> Iterator[Layers]:
    """Yields the frames of an animation, the pages of a TIFF, or the one image of any other."""
    if outline.frames == outline.pages == 1:
        yield read_layers(path)
    else:
        for layers, _ in read_all(path):
            yield layers
