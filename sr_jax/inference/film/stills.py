"""A film into a folder of numbered images; broken off, it goes on with the piece that it was in."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt

from sr_jax.errors import InputError
from sr_jax.inference.film.batches import Begin, End, Note
from sr_jax.inference.film.options import FilmOptions
from sr_jax.inference.film.parts import Parts, add_up, choose_enlarger, describe_job
from sr_jax.inference.film.plan import make_plan
from sr_jax.inference.film.progress import Meter, Progress
from sr_jax.inference.film.run import Frame, enlarge_pieces
from sr_jax.inference.film.upscale import rgb_like
from sr_jax.inference.upscaler import Upscaler

Save = Callable[[Path, UInt[np.ndarray, 'h w c']], None]


class StillsJob:
    """A film to enlarge into images, decided; nothing is computed yet.

    Args:
      upscaler: the network, not `bounded`.
      path: the film, or a folder of numbered frames.
      folder: of the images to come: 000001.png and so on.
      options: what was chosen; those of an encoder mean nothing.
      how, report: as of `sr_jax.inference.film.job.FilmJob`.

    Raises:
      InputError: it is no film.
    """

    def __init__(
        self,
        upscaler: Upscaler,
        path: Path,
        folder: Path,
        options: FilmOptions,
        how: dict[str, Any] | None = None,
        report: Callable[[str], None] = lambda line: None,
    ):
        self._upscaler, self.folder = upscaler, folder
        self.plan = make_plan(path, options, upscaler.scale, rgb_like)
        self.parts = Parts(folder)
        for line in self.plan.lines('PNG'):
            report(line)
        self._told = describe_job(upscaler, path, options, how)
        self._report = report

    def run(
        self,
        save: Save,
        overwrite: bool = False,
        show: Callable[[Progress], None] = lambda progress: None,
    ) -> Note:
        """Makes the images that are not there; returns what there is to say of all.

        Args:
          save: writes an image, RGB with its opacity if there is one: whole, or not at all.
          overwrite: begin anew where images of another job are there.
          show: is told of the progress after every frame.

        Raises:
          InputError: images of another job are there, or it goes on just now, or anything that goes
            wrong on the way; what is done stays.
        """
        with self.parts.hold(self._report):
            return self._run(save, overwrite, show)

    def _run(self, save: Save, overwrite: bool, show: Callable[[Progress], None]) -> Note:
        self.parts.open(self._told, overwrite)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make(save, show)
        except OSError as error:
            raise InputError(f'{self.folder} cannot be written: {error.strerror}') from error
        note = add_up(self.parts.notes(self.plan.segments))
        self._remove_later(note.frames)
        self.parts.remove()
        return note

    def _make(self, save: Save, show: Callable[[Progress], None]) -> None:
        missing = self.parts.missing(self.plan.segments)
        enlarger = choose_enlarger(self._upscaler, self.plan.change, self.parts)
        count = add_up(self.parts.notes(self.plan.segments)).frames  # pieces follow one another
        meter = Meter(count, self.plan.frames)
        pieces = enlarge_pieces(self.plan, enlarger, missing, meter)
        with contextlib.closing(pieces) as events:
            for event in events:
                with meter.encoding():
                    match event:
                        case Frame():
                            count += 1
                            pixels = np.stack(event.planes, axis=-1)
                            save(self.folder / f'{count:06d}.png', pixels)
                        case End():
                            self.parts.finish(event.number, event.note)
                        case Begin():
                            pass
                show(meter.progress())

    def _remove_later(self, count: int) -> None:
        """Removes numbered images of an earlier, longer film, which would seem to be of this."""
        later = [file for file in self.folder.glob('*.png') if _is_later(file.stem, count)]
        for file in later:
            file.unlink(missing_ok=True)
        if later:
            self._report(f'{len(later)} older images with higher numbers were removed')


def _is_later(stem: str, count: int) -> bool:
    is_number = stem.isascii() and stem.isdecimal()
    return is_number and int(stem) > count and stem == f'{int(stem):06d}'
