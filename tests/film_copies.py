"""Copies of films, and what is read of them."""

from fractions import Fraction
from pathlib import Path

import av

from sr_jax.film.encoders import EncoderSettings, OutputVideo
from sr_jax.film.info import FilmInfo
from sr_jax.film.muxing import Source
from sr_jax.film.reader import open_film
from sr_jax.film.writer import FilmWriter, output_like

LOSSLESS = EncoderSettings('ffv1')


def like(info: FilmInfo, **changes) -> OutputVideo:
    """Returns a video like that of a film."""
    return output_like(info.video, info.video.width, info.video.height)._replace(**changes)


def copy(source: Path, output: Path, settings: EncoderSettings = LOSSLESS, **more) -> list:
    """Copies a film, and returns its frames."""
    with open_film(source) as film:
        frames = []
        with FilmWriter(output, like(film.info), settings, Source(film.info, **more)) as writer:
            for frame in film:
                writer.write(frame.planes, frame.pts, frame.duration)
                frames.append(frame)
    return frames


def read(path: Path) -> tuple[FilmInfo, list]:
    with open_film(path) as film:
        return film.info, list(film)


def packets(path: Path) -> dict[int, list[bytes]]:
    """Returns the packets of all sounds and subtitles, by their order.

    MPEG-TS alone puts a head of 7 bytes before each packet of AAC, and samples that are not
    compressed are divided anew by each container.
    """
    with av.open(str(path)) as container:
        kept = [s for s in container.streams if s.type in ('audio', 'subtitle')]
        found: dict[int, list[bytes]] = {place: [] for place in range(len(kept))}
        places = {stream.index: place for place, stream in enumerate(kept)}
        for packet in container.demux():
            if packet.size and packet.stream_index in places:
                data = bytes(packet)
                data = data[7:] if data.startswith(b'\xff\xf1') else data
                found[places[packet.stream_index]].append(data)
        for stream in kept:
            if stream.codec_context.name.startswith('pcm'):
                found[places[stream.index]] = [b''.join(found[places[stream.index]])]
    return found


def seconds(frames: list) -> list[Fraction]:
    return [frame.pts * frame.time_base for frame in frames]
