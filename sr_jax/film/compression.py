"""A clip through an encoder and its decoder, in memory: what compression does to it."""

from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float

from sr_jax.film.ffmpeg import av, in_one_line
from sr_jax.images.decoding import to_float, to_uint8

ENCODERS = {'mpeg2video': 'mpeg2video', 'h264': 'libx264'}  # FFmpeg's names
GROUP = 12  # frames from a key frame to the next, as DVDs have at most about
BETWEEN = 2  # frames at most that are told from both sides


def compress_clip(
    clip: Float[np.ndarray, 't h w 3'], codec: str, strength: int
) -> Float[np.ndarray, 't h w 3']:
    """Returns a clip as a decoder shows it: 8 bits, chroma at half the size, and compressed.

    Args:
      clip: in [0, 1].
      codec: of ENCODERS.
      strength: of the compression, by the encoder's own number: MPEG-2's quantizer (1 to 31) or
        H.264's constant rate factor (0 to 51).

    Raises:
      InputError: FFmpeg has no such encoder, or it refuses.
    """
    height, width = clip.shape[1:3]
    even = np.pad(to_uint8(clip), ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode='edge')
    with in_one_line(f'config.degradation.codec={codec!r}'):
        decoded = _decode(_encode(even, codec, strength), codec)
    return to_float(np.stack(decoded)[:, :height, :width])


def _encode(clip: np.ndarray, codec: str, strength: int) -> list[Any]:
    """The packets of a clip [t, h, w, 3] of even sides, uint8."""
    encoder: Any = av.CodecContext.create(ENCODERS[codec], 'w')
    encoder.width, encoder.height = clip.shape[2], clip.shape[1]
    encoder.pix_fmt, encoder.framerate, encoder.time_base = 'yuv420p', 25, Fraction(1, 25)
    encoder.gop_size, encoder.max_b_frames, encoder.thread_count = GROUP, BETWEEN, 1
    if codec == 'h264':
        encoder.options = {'crf': str(strength), 'preset': 'veryfast'}
    else:
        encoder.qmin = encoder.qmax = strength
    packets = []
    for i, pixels in enumerate(clip):
        frame = av.VideoFrame.from_ndarray(pixels, 'rgb24').reformat(format='yuv420p')
        frame.pts, frame.time_base = i, encoder.time_base
        packets += encoder.encode(frame)
    return [*packets, *encoder.encode(None)]


def _decode(packets: list[Any], codec: str) -> list[np.ndarray]:
    """The frames of packets in the order of showing, uint8."""
    decoder: Any = av.CodecContext.create(codec, 'r')
    decoder.thread_count = 1
    frames = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    return [frame.to_ndarray(format='rgb24') for frame in frames]
