"""A long film in pieces: each encoded by itself, all joined without encoding anything again.

A segment is a file of NumPy's (.npz) that holds the encoder's packets as they came, and what the
encoder was told. It begins with a key frame and needs no other segment; it appears whole or not at
all. Joining gives the packets of all segments their times, copies the other streams of the film,
and checks that all segments have the same head (extradata), for a container holds one.
"""

import contextlib
import dataclasses
import itertools
import json
import zipfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from sr_jax.errors import InputError, LastingError
from sr_jax.film import encoders, hdr
from sr_jax.film.encoders import EncoderSettings, OutputVideo
from sr_jax.film.ffmpeg import av, in_one_line
from sr_jax.film.formats import ColorDescription, PixelFormat, Planes
from sr_jax.film.muxing import Source, open_muxer
from sr_jax.film.timestamps import DecodeTimes
from sr_jax.images.atomic import whole_file

SUFFIX = '.npz'
OPACITY: Any = 'matroska_block_additional'  # where VP9 has it: beside each packet


class Segment(NamedTuple):
    """What a segment's file says of it, without its packets.

    Attributes:
      path: the file.
      video, settings: what its encoder was told.
      head: the encoder's extradata.
      pts, durations: of the packets in the order of decoding, in ticks.
      keys: whether each is a key frame.
      sizes: bytes of each.
    """

    path: Path
    video: OutputVideo
    settings: EncoderSettings
    head: bytes
    pts: np.ndarray
    durations: np.ndarray
    keys: np.ndarray
    sizes: np.ndarray


class SegmentWriter:
    """Encodes a span of frames into a segment; as a context manager, whole or not at all.

    Args:
      path: the file.
      video, settings: as of `sr_jax.film.writer.FilmWriter`; the same for all segments of a film.

    Raises:
      InputError: the encoder does not take such frames.
    """

    def __init__(self, path: Path, video: OutputVideo, settings: EncoderSettings):
        self._path, self._video, self._settings = path, video, settings
        encoders.check(video, settings)
        self._context = av.CodecContext.create(settings.codec, 'w')
        encoders.configure(self._context, video, settings)
        encoders.open_encoder(self._context, settings)
        self._encoder = encoders.Encoder(self._context, video)
        self._packets: list[tuple[int, int, bool, bytes, bytes]] = []

    def write(self, planes: Planes, pts: int, duration: int) -> None:
        """Adds a frame; see `sr_jax.film.writer.FilmWriter.write`."""
        with in_one_line(f'{self._path} cannot be encoded'):
            self._keep(self._encoder.encode(planes, pts, duration))

    def _keep(self, packets: list[Any]) -> None:
        for packet in packets:
            opacity = bytes(packet.get_sidedata(OPACITY))
            told = (packet.pts, packet.duration, packet.is_keyframe)
            self._packets.append((*told, bytes(packet), opacity))

    def close(self) -> None:
        """Writes the file.

        Raises:
          InputError: there were no frames, or it cannot be written.
        """
        with in_one_line(f'{self._path} cannot be encoded'):
            self._keep(self._encoder.flush())
        if not self._packets:
            raise InputError(f'{self._path}: a segment needs a frame')
        pts, durations, keys, data, opacities = zip(*self._packets, strict=True)
        arrays: dict[str, Any] = {
            'told': np.array(_to_json(self._video, self._settings)),
            'head': np.frombuffer(self._context.extradata or b'', np.uint8),
            'pts': np.array(pts, np.int64),
            'durations': np.array(durations, np.int64),
            'keys': np.array(keys, bool),
            'sizes': np.array([len(each) for each in data], np.int64),
            'data': np.frombuffer(b''.join(data), np.uint8),
            'opacity_sizes': np.array([len(each) for each in opacities], np.int64),
            'opacities': np.frombuffer(b''.join(opacities), np.uint8),
        }
        with whole_file(self._path) as partial, partial.open('wb') as file:
            np.savez(file, **arrays)

    def __enter__(self) -> 'SegmentWriter':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()


def read_segment(path: Path) -> Segment:
    """Returns what a segment says of itself.

    Raises:
      InputError: it is damaged, or no segment.
    """
    with _arrays(path) as arrays:
        video, settings = _from_json(str(arrays['told']))
        head = arrays['head'].tobytes()
        names = ('pts', 'durations', 'keys', 'sizes')
        return Segment(path, video, settings, head, *(arrays[name] for name in names))


@contextlib.contextmanager
def _arrays(path: Path) -> Iterator[Any]:
    try:
        with path.open('rb') as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f'{path} is no whole segment: remove it, and run the same command again'
        ) from error


def join(
    segments: Sequence[Path],
    output: Path,
    source: Source | None = None,
    first: int = 0,
) -> None:
    """Joins segments into a film, in the order of their times.

    Args:
      segments: files.
      output, source: as of `sr_jax.film.writer.FilmWriter`.
      first: the tick from which times are counted; with a source, its `span` says that.

    Raises:
      InputError: segments that do not go together, or what FilmWriter raises.
    """
    found = sorted((read_segment(path) for path in segments), key=lambda part: int(part.pts[0]))
    _check_together(found)
    video, settings = found[0].video, found[0].settings
    times = iter(DecodeTimes([int(pts) - first for part in found for pts in part.pts]))
    with contextlib.ExitStack() as stack:
        muxer = open_muxer(stack, output, video, settings, source)
        if (muxer.stream.codec_context.extradata or b'') != found[0].head:
            raise LastingError(
                f'{found[0].path}: the encoder here writes another head than the one of the '
                'segments: join them where they were encoded'
            )
        with in_one_line(f'{output} cannot be written'):
            for part in found:
                muxer.write([_packet(*each, next(times)) for each in _read_packets(part, first)])
            muxer.finish()


def _check_together(parts: Sequence[Segment]) -> None:
    if not parts:
        raise InputError('there are no segments to join')
    for before, part in itertools.pairwise(parts):
        if (part.video, part.settings) != (before.video, before.settings):
            raise LastingError(f'{part.path} was encoded otherwise than {before.path}')
        if part.head != before.head:
            raise LastingError(
                f'{part.path} and {before.path} have different heads: encode all segments by the '
                'same version of FFmpeg'
            )
        if part.pts.min() < (before.pts + before.durations).max():
            raise LastingError(f'{part.path} and {before.path} hold the same moment of the film')


def _read_packets(part: Segment, first: int) -> Iterator[tuple[int, int, bool, bytes, bytes]]:
    """Yields of each packet pts, counted from the tick `first`, duration, whether it is a key
    frame, bytes, and opacity."""
    with _arrays(part.path) as arrays:
        data = _cut(arrays['data'], part.sizes)
        opacities = _cut(arrays['opacities'], arrays['opacity_sizes'])
    rows = zip(part.pts, part.durations, part.keys, data, opacities, strict=True)
    for pts, duration, key, each, opacity in rows:
        yield int(pts) - first, int(duration), bool(key), each, opacity


def _cut(joined: np.ndarray, sizes: np.ndarray) -> list[bytes]:
    ends = np.cumsum(sizes)
    return [joined[end - size : end].tobytes() for size, end in zip(sizes, ends, strict=True)]


def _packet(pts: int, duration: int, key: bool, data: bytes, opacity: bytes, dts: int) -> Any:
    packet = av.Packet(data)
    packet.pts, packet.dts, packet.duration, packet.is_keyframe = pts, dts, duration, key
    if opacity:
        sidedata: Any = av.packet  # whose annotations leave these out
        kind = sidedata.packet_sidedata_type_from_literal(OPACITY)
        beside = sidedata.PacketSideData(kind, len(opacity))
        beside.update(opacity)
        packet.set_sidedata(beside)
    return packet


def _to_json(video: OutputVideo, settings: EncoderSettings) -> str:
    """Returns, as text, what an encoder was told."""
    told = {'video': video._asdict(), 'settings': dataclasses.asdict(settings)}
    return json.dumps(told, default=str, sort_keys=True)  # fractions become '1/25'


def _from_json(text: str) -> tuple[OutputVideo, EncoderSettings]:
    told = json.loads(text)
    video, settings = told['video'], told['settings']
    for name in ('time_base', 'rate', 'aspect'):
        video[name] = video[name] and Fraction(video[name])
    video['pixels'] = PixelFormat(*video['pixels'])
    video['color'] = ColorDescription(*video['color'])
    video['matrix'] = video['matrix'] and tuple(video['matrix'])
    video['light'] = video['light'] and hdr.Light(*video['light'])
    if video['mastering']:
        *points, low, high = video['mastering']
        red, green, blue, white = [(Fraction(x), Fraction(y)) for x, y in points]
        luminances = Fraction(low), Fraction(high)
        video['mastering'] = hdr.Mastering(red, green, blue, white, *luminances)
    return OutputVideo(**video), EncoderSettings(**settings)
