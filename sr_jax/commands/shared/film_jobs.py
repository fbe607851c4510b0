"""Films on the command line: one after the other through a network."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sr_jax.commands.shared import film_arguments, results, upscaler_arguments
from sr_jax.devices.cores import split_cpu
from sr_jax.errors import INTERRUPTED, InputError, describe
from sr_jax.film.muxing import is_raw
from sr_jax.images.atomic import remove_left_over
from sr_jax.images.decoding import Layers
from sr_jax.images.files import save_layers
from sr_jax.inference import networks
from sr_jax.inference.film.job import FilmJob, FilmResult
from sr_jax.inference.film.parts import Parts
from sr_jax.inference.film.progress import Progress
from sr_jax.inference.film.stills import StillsJob

# Seconds from one line about the progress to the next: on a terminal, and in a file.
EVERY, EVERY_IN_FILE = 0.5, 60.0
# What of the command line decides what the network makes of a frame.
OF_THE_NETWORK = (
    *('dtype', 'tile', 'halo', 'temperature', 'seed', 'consistent', 'shard_spatially', 'products'),
)

Say = Callable[[str], None]


class Line:
    """A line that says how far a film is; on a terminal it stays in its place.

    Args:
      name: of the film.
    """

    def __init__(self, name: str):
        self._name, self._last, self._width = name, time.monotonic(), 0
        self._is_live = sys.stderr.isatty()

    def show(self, progress: Progress) -> None:
        """Shows how far it is, where it is time to."""
        now = time.monotonic()
        if now - self._last < (EVERY if self._is_live else EVERY_IN_FILE):
            return
        self._last = now
        text = f'{self._name}: {progress}'
        if self._is_live:
            print(f'\r{text:{self._width}}', end='', file=sys.stderr, flush=True)
            self._width = len(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Removes the line."""
        if self._is_live and self._width:
            print(f'\r{"":{self._width}}\r', end='', file=sys.stderr, flush=True)


def run(arguments: argparse.Namespace, films: list[Path]) -> int:
    """Enlarges films; one that fails is named, and the others are done.

    Returns:
      0, 1 when a film could not be read, enlarged or written as a whole, or 130 after Ctrl-C.

    Raises:
      InputError: PyAV is not installed, or what was said cannot be meant.
    """
    from sr_jax.film import ffmpeg  # noqa: F401  says at once that PyAV is not installed

    options = film_arguments.read_options(arguments)
    part = film_arguments.read_part(arguments.part)
    say: Say = _say_aside if arguments.output == film_arguments.PIPE else print
    outputs = _plan(arguments, films)
    weights = upscaler_arguments.read_weights(arguments)
    split_cpu()
    network = networks.load(weights, best=arguments.best, report=say)
    upscaler = upscaler_arguments.make(arguments, network, bounded=False, report=say)
    devices = f'{upscaler.mesh.size} {upscaler.mesh.devices.flat[0].device_kind} device(s)'
    kind = f'{network.model["name"]} of scale {upscaler.scale}'
    say(f'{weights}: {kind}, {len(outputs)} film(s) on {devices}')
    how = {name: getattr(arguments, name) for name in OF_THE_NETWORK}
    failed = 0
    for path, output in outputs:
        line = Line(path.name)
        try:
            if arguments.frames_to:
                stills = StillsJob(upscaler, path, output, options, how, say)
                _write_frames(stills, arguments.overwrite, say, line)
                continue
            job = FilmJob(upscaler, path, output, options, how, say)
            failed += _run_job(job, part, arguments, say, line)
        except KeyboardInterrupt:
            line.clear()
            goes_on = bool(arguments.frames_to) or not is_raw(output)
            print(_describe_interruption(output, goes_on), file=sys.stderr)
            return INTERRUPTED
        except Exception as error:  # whatever one film raises, the others are done
            line.clear()
            print(f'error: {describe(error, path.name)}', file=sys.stderr)
            failed += 1
    if failed and len(outputs) > 1:
        print(f'error: {failed} of {len(outputs)} films could not be done', file=sys.stderr)
    return 1 if failed else 0


def _plan(arguments: argparse.Namespace, films: list[Path]) -> list[tuple[Path, Path]]:
    """Returns each film and where its result goes.

    Raises:
      InputError: there is no such film, or a result cannot be written or is there already.
    """
    for path in films:
        if not path.exists():
            raise InputError(f'no such film: {path}')
    if arguments.frames_to:
        return _plan_frames(arguments, films)
    file = film_arguments.output_file(arguments.output, films)
    if file == Path(film_arguments.PIPE):
        return [(films[0], file)]
    folder = file.parent if file else Path(arguments.output)
    files = [file] if file else []
    if not files:
        files = results.name_files([p.stem for p in films], folder, ['.mkv'] * len(films))
    results.prepare(files, films, folder)
    wanted = results.find_missing(arguments, [[file] for file in files])
    pairs = zip(films, files, strict=True)
    return [pair for pair, missing in zip(pairs, wanted, strict=True) if missing]


def _plan_frames(arguments: argparse.Namespace, films: list[Path]) -> list[tuple[Path, Path]]:
    folder = arguments.frames_to
    if len(films) > 1:
        raise InputError('--frames-to is one folder: give one film')
    if arguments.join or arguments.part != '1/1':
        raise InputError('--part and --join are of films that are written, not of --frames-to')
    film_arguments.check_frames_to(folder)
    if folder.resolve() == films[0].resolve():
        raise InputError(f'{folder} holds the frames themselves: take another folder')
    remove_left_over([folder])
    goes_on = Parts(folder).folder.is_dir()
    if folder.is_dir() and any(folder.iterdir()) and not (arguments.overwrite or goes_on):
        raise InputError(f'{folder} is not empty: take another folder, or say --overwrite')
    return [(films[0], folder)]


def _run_job(
    job: FilmJob, part: tuple[int, int], arguments: argparse.Namespace, say: Say, line: Line
) -> int:
    """Does what was asked of a film; returns 1 where something was wrong with it, else 0."""
    begin = time.perf_counter()
    result = job.join() if arguments.join else job.run(part, arguments.overwrite, line.show)
    line.clear()
    seconds = time.perf_counter() - begin
    say(_describe_result(job, result, seconds))
    for problem in result.problems:
        print(f'error: {job.plan.found.path}: {problem}', file=sys.stderr)
    return 1 if result.problems else 0


def _describe_result(job: FilmJob, result: FilmResult, seconds: float) -> str:
    note = result.note
    alike = note.frames - note.computed
    count = f'{note.frames} frames' + (f', {alike} of them as the one before' if alike else '')
    if note.resized:
        count += f', {note.resized} of another size than the first and resized to that'
    if result.is_whole:
        return f'{job.output}  {count} in {seconds:.1f} s'
    missing = len(job.parts.missing(job.plan.segments))
    then = f'{missing} pieces are missing' if missing else 'all pieces are there: --join joins them'
    return f'{job.parts.folder}  {count} so far; {then}'


def _describe_interruption(output: Path, goes_on: bool) -> str:
    if not goes_on:
        return '\ninterrupted'
    return f'\ninterrupted: what is done stays beside {output}; the same command goes on'


def _write_frames(job: StillsJob, overwrite: bool, say: Say, line: Line) -> None:
    """Writes the frames of a film as numbered PNGs."""
    note = job.run(_save, overwrite, line.show)
    line.clear()
    say(f'{job.folder}  {note.frames} frames')


def _save(path: Path, pixels: np.ndarray) -> None:
    alpha = pixels[..., 3:] if pixels.shape[-1] > 3 else None
    save_layers(path, Layers(pixels[..., :3], alpha))


def _say_aside(text: str) -> None:
    """Prints where it does not get into a film on the standard output."""
    print(text, file=sys.stderr, flush=True)
