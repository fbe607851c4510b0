"""Encoders: what each takes, and how a film's frames are given to one."""

import dataclasses
import functools
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from sr_jax.errors import InputError
from sr_jax.film import h273, hdr, pixels
from sr_jax.film.ffmpeg import REFUSALS, av, in_one_line
from sr_jax.film.formats import ColorDescription, PixelFormat, Planes

# Options of each encoder; {quality} is the settings', or the number here.
QUALITIES = {
    'libx264': (17, {'crf': '{quality}'}),
    'libx265': (19, {'crf': '{quality}'}),
    'libsvtav1': (24, {'crf': '{quality}'}),
    'libvpx-vp9': (20, {'crf': '{quality}', 'b': '0'}),
    'h264_nvenc': (18, {'rc': 'constqp', 'qp': '{quality}'}),
    'hevc_nvenc': (20, {'rc': 'constqp', 'qp': '{quality}'}),
    'av1_nvenc': (60, {'rc': 'constqp', 'qp': '{quality}'}),
    'prores_ks': (None, {'vendor': 'apl0'}),
    'ffv1': (None, {'level': '3', 'slicecrc': '1'}),
    'rawvideo': (None, {}),
}
CODECS = tuple(QUALITIES)
# The option that hands parameters on to the encoder's own library, and what goes there always.
# x265 would else write the machine's number of threads into the stream's head.
PARAMETERS = {
    'libx264': ('x264-params', []),
    'libx265': ('x265-params', ['log-level=error', 'info=0']),
    'libsvtav1': ('svtav1-params', []),
}
# With its code for AVX-512, build 165 of x264 makes other bytes of the same frames now and then: of
# 900 pieces of ten frames of 264x200, 205 were not like the others; with its code for AVX2 none.
WITHOUT_AVX512 = 'asm=AVX2'
# These can crop by whole samples of chroma only, so that chroma's samples must fill the sides.
WHOLE_CHROMA = ('libx264', 'libx265', 'libsvtav1', 'h264_nvenc', 'hevc_nvenc', 'av1_nvenc')
H264_OR_HEVC = ('libx264', 'libx265', 'h264_nvenc', 'hevc_nvenc')
# FFmpeg writes these too, but nobody reads them, or only when the head is written does it refuse.
NOT_IN = {
    'mpegts': tuple(codec for codec in CODECS if codec not in H264_OR_HEVC),
    'mov': ('libsvtav1', 'av1_nvenc', 'libvpx-vp9'),
}
# Their streams do not say how wide pixels are, and PyAV cannot tell Matroska's muxer.
WITHOUT_ASPECT = ('libsvtav1', 'av1_nvenc', 'libvpx-vp9', 'prores_ks', 'ffv1')
# Below so many columns x265 (build 217) writes beyond its memory, and the process dies later.
MIN_WIDTH = {'libx265': 64}
# Those that hold opacity.
WITH_ALPHA = ('ffv1', 'libvpx-vp9', 'prores_ks')
# What Y4M holds: bits of a sample, and for how many of luma, across and down, one of chroma is.
Y4M_DEPTHS = (8, 10, 12, 16)
Y4M_SAMPLINGS = ((1, 1), (2, 1), (2, 2))
# In MP4 and MOV these are called hvc1: Apple's players refuse FFmpeg's default name, hev1.
HEVC = ('libx265', 'hevc_nvenc')


@dataclasses.dataclass(frozen=True)
class EncoderSettings:
    """How frames are encoded.

    Attributes:
      codec: one of `CODECS`.
      quality: crf or qp, the encoder's number: lower is better and larger. None: ours.
      preset: the encoder's own name of how long it tries; '' leaves it.
      options: further options of FFmpeg's.
    """

    codec: str = 'libx264'
    quality: float | None = None
    preset: str = ''
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)


class OutputVideo(NamedTuple):
    """The video to write.

    Attributes:
      width, height: in pixels as stored.
      pixels: what planes hold.
      color: the tags; 'unspecified' is not written.
      time_base: seconds of a tick of the frames' times.
      rate: frames a second, about; encoders plan by it.
      aspect: width of a pixel by its height; None leaves it unsaid.
      matrix: FFmpeg's display matrix, nine integers: rotation and flips.
      mastering, light: of HDR.
      metadata: tags of the stream.
      disposition: FFmpeg's bits.
    """

    width: int
    height: int
    pixels: PixelFormat
    color: ColorDescription
    time_base: Fraction
    rate: Fraction
    aspect: Fraction | None = None
    matrix: tuple[int, ...] | None = None
    mastering: hdr.Mastering | None = None
    light: hdr.Light | None = None
    metadata: Mapping[str, str] = {}
    disposition: int = 1


def choose_pixels(codec: str, wanted: PixelFormat) -> PixelFormat:
    """Returns the pixels, of those that an encoder takes, that lose the least of the wanted ones.

    Depth counts most, then that they have color and alpha, then chroma's size, then the layout;
    among equal ones the smallest is taken.

    Raises:
      InputError: no such encoder.
    """
    return min(_offered(codec), key=functools.partial(_losses, wanted))


def choose_y4m(wanted: PixelFormat) -> PixelFormat:
    """Returns the pixels, of those that Y4M holds, that lose the least; see `choose_pixels`."""
    held = [
        PixelFormat('yuv', depth, *sampling) for depth in Y4M_DEPTHS for sampling in Y4M_SAMPLINGS
    ]
    held += [PixelFormat('gray', depth) for depth in Y4M_DEPTHS]
    return min(held, key=functools.partial(_losses, wanted))


def _losses(wanted: PixelFormat, offered: PixelFormat) -> tuple[Any, ...]:
    return (
        wanted.layout != 'gray' and offered.layout == 'gray',
        max(0, wanted.depth - offered.depth),
        wanted.alpha and not offered.alpha,
        max(0, offered.horizontal - wanted.horizontal),
        max(0, offered.vertical - wanted.vertical),
        wanted.layout != offered.layout,
        offered.alpha and not wanted.alpha,
        offered.depth,
        -offered.horizontal * offered.vertical,
    )


def _offered(codec: str) -> dict[PixelFormat, str]:
    """Returns the pixels that an encoder takes, and FFmpeg's name of each."""
    try:
        formats = av.Codec(codec, 'w').video_formats
    except REFUSALS as error:
        raise InputError(f'codec {codec!r}: this FFmpeg has no such encoder') from error
    names = [format.name for format in formats or ()]
    if not names:  # raw video holds all
        names = [name for name in av.video.format.names if name.endswith(('p', 'le', 'gray'))]
    found: dict[PixelFormat, str] = {}
    for name in sorted(names, key=lambda name: 'yuvj' in name):
        try:
            offered = pixels.describe(name)
        except InputError:
            continue
        if offered not in found or name == _planar(offered):
            found[offered] = name
    return found


def _planar(offered: PixelFormat) -> str:
    try:
        return pixels.planar_name(offered)
    except InputError:
        return ''


def options(video: OutputVideo, settings: EncoderSettings) -> dict[str, str]:
    """Returns FFmpeg's options for an encoder.

    Raises:
      InputError: it has no quality to choose.
    """
    codec = settings.codec
    ours, named = QUALITIES[codec]
    quality = ours if settings.quality is None else settings.quality
    if ours is None and quality is not None:
        raise InputError(f'{codec} has no quality to choose: leave it out')
    found = {key: value.format(quality=f'{quality}') for key, value in named.items()}
    if settings.preset:
        found['preset'] = settings.preset
    theirs = dict(settings.options)
    if codec in PARAMETERS:
        option, always = PARAMETERS[codec]
        words = [*always, *hdr.parameters(codec, video.mastering, video.light)]
        if codec == 'libx264' and _has_avx512():
            words.append(WITHOUT_AVX512)
        words += [theirs.pop(option)] if option in theirs else []
        if words:
            found[option] = ':'.join(words)
    if codec == 'prores_ks':
        is_422 = video.pixels.horizontal == 2 and not video.pixels.alpha
        found['profile'] = '3' if is_422 else '4'
    return found | theirs


@functools.cache
def _has_avx512() -> bool:
    """Tells whether this machine's CPU has AVX-512, where the system (Linux) says it."""
    try:
        return ' avx512' in Path('/proc/cpuinfo').read_text(encoding='ascii', errors='replace')
    except OSError:
        return False


def check(video: OutputVideo, settings: EncoderSettings) -> str:
    """Returns FFmpeg's name of the pixel format to encode.

    Raises:
      InputError: the encoder is not one of `CODECS`, or does not take such pixels or sides; names
        what would do.
    """
    codec, wanted = settings.codec, video.pixels
    if codec not in CODECS:
        raise InputError(f'codec {codec!r}: take one of {", ".join(CODECS)}')
    offered = _offered(codec)
    if wanted not in offered:
        nearest = offered[choose_pixels(codec, wanted)]
        raise InputError(f'{codec} does not take {wanted}: the nearest that it takes is {nearest}')
    odd = video.width % wanted.horizontal or video.height % wanted.vertical
    if odd and codec in WHOLE_CHROMA:
        raise InputError(
            f'{codec} does not take {video.width}x{video.height} pixels with chroma of half the '
            'size: take even sides, or the codec ffv1, which keeps odd ones'
        )
    if video.width < MIN_WIDTH.get(codec, 1):
        raise InputError(
            f'{codec} does not take {video.width} columns, only {MIN_WIDTH[codec]} and more: take '
            '--codec libx264'
        )
    return offered[wanted]


def configure(context: Any, video: OutputVideo, settings: EncoderSettings) -> None:
    """Sets up an encoder that is not yet open.

    Raises:
      InputError: it does not take such frames.
    """
    context.pix_fmt = check(video, settings)
    context.width, context.height = video.width, video.height
    context.time_base, context.framerate = video.time_base, video.rate
    context.options = options(video, settings)
    context.thread_type = 'AUTO'  # whole frames to a thread where there can be several
    if video.aspect:
        context.sample_aspect_ratio = video.aspect
    h273.write(context, video.color)
    if settings.codec != 'rawvideo':
        context.flags |= av.codec.context.Flags.global_header


def open_encoder(context: Any, settings: EncoderSettings) -> None:
    """Opens an encoder, so that one that this machine lacks is found out at once.

    Raises:
      InputError: it does not open.
    """
    what = f'{settings.codec} does not open here for {context.width}x{context.height} pixels'
    with in_one_line(f'{what} {context.pix_fmt}', 'take another --codec'):
        context.open(strict=False)


class Encoder:
    """Frames to packets, with times and durations to the tick.

    Args:
      context: FFmpeg's, open.
      video: what it encodes.
    """

    def __init__(self, context: Any, video: OutputVideo):
        self._context = context
        self._video = video
        self._durations: dict[int, int] = {}

    def encode(self, planes: Planes, pts: int, duration: int) -> list[Any]:
        """Returns the packets that are ready after one more frame."""
        video = self._video
        frame = av.VideoFrame(video.width, video.height, self._context.pix_fmt)
        pixels.fill(frame, planes)
        frame.pts, frame.time_base, frame.duration = pts, video.time_base, duration
        h273.write_frame(frame, video.color)
        self._durations[pts] = duration
        return self._finish(self._context.encode(frame))

    def flush(self) -> list[Any]:
        """Returns the packets that were waiting for further frames."""
        return self._finish(self._context.encode(None))

    def _finish(self, packets: list[Any]) -> list[Any]:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, packet.duration)
        return packets
