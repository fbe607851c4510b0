"""PyAV, which brings FFmpeg's libraries, and what both say when something goes wrong."""

import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from sr_jax.errors import InputError, first_line

try:
    import av
    import av.filter
except ImportError as missing:
    raise InputError(
        "films need PyAV, and it Python 3.12: pip install 'sr_jax[video]'"
    ) from missing

# SVT-AV1 reports to the standard error whatever FFmpeg's log level is; 1 lets errors through.
os.environ.setdefault('SVT_LOG', '1')

ERRORS = (av.error.FFmpegError, OSError)
REFUSALS = (*ERRORS, ValueError)  # what PyAV raises where a codec or a container does not fit
NOTHING_YET = (av.error.BlockingIOError, av.error.EOFError)


@contextlib.contextmanager
def in_one_line(what: str, remedy: str = '') -> Iterator[None]:
    """Turns what FFmpeg or the system raises into an InputError that begins with `what`."""
    try:
        yield
    except ERRORS as error:
        said = getattr(error, 'strerror', None) or first_line(error)
        raise InputError(f'{what}: {said}{remedy and f"; {remedy}"}') from error


def open_container(path: Path) -> Any:
    """Opens a film for reading.

    Raises:
      InputError: there is no such file, or FFmpeg does not know what it is.
    """
    if not path.exists():
        raise InputError(f'{path}: there is no such file')
    try:
        return av.open(str(path))
    except av.error.InvalidDataError as error:
        raise InputError(f'{path} is not a film that FFmpeg reads, or its head is lost') from error
    except ERRORS as error:
        said = getattr(error, 'strerror', None) or first_line(error)
        raise InputError(f'{path} cannot be read: {said}') from error


def clean(tags: Mapping[str, str]) -> dict[str, str]:
    """Returns a film's tags with a question mark for what is no text, which muxers refuse."""
    return {clean_text(key): clean_text(value) for key, value in tags.items()}


def clean_text(text: str) -> str:
    """Returns what a film holds as text with a question mark for what is none."""
    return text.encode(errors='replace').decode()


def packets_until_damage(container: Any, streams: list[Any]) -> Iterator[Any]:
    """Yields the packets of a film, and ends where what follows is not what it should be."""
    try:
        yield from container.demux(*streams)
    except av.error.InvalidDataError:
        return


def fraction(rational: Any) -> Fraction | None:
    """Returns one of PyAV's rationals as a Fraction; None for one that says nothing (0 or x/0)."""
    if rational is None or not rational.denominator or not rational.numerator:
        return None
    return Fraction(rational.numerator, rational.denominator)


def rates_of(stream: Any) -> tuple[Fraction | None, Fraction | None]:
    """Returns the average and the nominal frames a second of a stream; None where not said.

    DV without a container says 60000 a second on average: what is above twice the nominal rate is
    none.
    """
    average, nominal = fraction(stream.average_rate), fraction(stream.guessed_rate)
    return (None if average and nominal and average > 2 * nominal else average), nominal


def tick_of(timed: Any) -> Fraction:
    """Returns the seconds of a tick of a stream, a packet or a frame; 1 where it says none."""
    return fraction(timed.time_base) or Fraction(1)


def kind_of(frame: Any) -> tuple[int, int, str]:
    """Returns the size of a frame, and the name of its pixel format."""
    return frame.width, frame.height, frame.format.name


def common_tick(first: Fraction, second: Fraction) -> Fraction:
    """Returns the longest tick of which both are multiples."""
    numerator = math.gcd(
        first.numerator * second.denominator, second.numerator * first.denominator
    )
    return Fraction(numerator, first.denominator * second.denominator)


def make_source(frame: Any, rate: Fraction) -> tuple[Any, Any]:
    """Returns a new filter graph, and its source, which takes frames such as this one."""
    graph = av.filter.Graph()
    tick = frame.time_base
    words = {
        'video_size': f'{frame.width}x{frame.height}',
        'pix_fmt': frame.format.name,
        'time_base': f'{tick.numerator}/{tick.denominator}',
        'frame_rate': f'{rate.numerator}/{rate.denominator}',
    }
    return graph, graph.add('buffer', ':'.join(f'{key}={word}' for key, word in words.items()))


def make_graph(frame: Any, filters: list[tuple[str, str]], rate: Fraction) -> Any:
    """Returns a chain of filters for frames such as this one; push and pull it.

    Args:
      frame: one of those to come.
      filters: name and arguments of each.
      rate: frames a second, which some filters want to know.
    """
    graph, source = make_source(frame, rate)
    chain = [graph.add(name, words or None) for name, words in filters]
    graph.link_nodes(source, *chain, graph.add('buffersink')).configure()
    return graph


def pull_all(sink: Any) -> Iterator[Any]:
    """Yields the frames that a filter graph, or one of its sinks, has ready."""
    while True:
        try:
            frame = sink.pull()
        except NOTHING_YET:
            return
        yield frame
