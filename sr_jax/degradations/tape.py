"""What old video tapes do to a film, on clips in the step: bandwidth, color, noise, and time.

What belongs to a recorder or a cable is drawn once for a clip; noise, dropouts and jitter for each
frame. Frequencies are those of lines of 720 pixels sampled at 13.5 MHz (ITU-R BT.601). In the order
in which it happens:

  levels       gain, offset, saturation and hue, which drift evenly over the clip
  composite    chroma rides on a carrier of 315/88 MHz in luma's band, which turns by half a period
               from line to line and from frame to frame (NTSC, ITU-R BT.1700): what a decoder
               leaves of it in luma are dots, what it takes of luma for chroma are rainbows
  bandwidth    a Gaussian low-pass along lines, 3 dB down at the drawn frequency: VHS has about 3
               MHz of luma and 0.5 of chroma (IEC 60774-1: color is recorded below luma); each
               generation passes it once more. Chroma arrives late, to the right and below
  noise        of luma and, coarser along the line, of chroma; generations add up their variances
  dropouts     parts of lines that are lost, white and fading
  time base    lines shift sideways, each a little more or less than the one above
  head switch  the last lines shift much, and are noisy
  fields       every other line is of another moment and is replaced by the mean of its neighbors;
               the lines that are kept change from frame to frame

Clips can be compressed after that, by an encoder: `sr_jax.tasks.shared.compression`.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key

from sr_jax.degradations import gaussian
from sr_jax.degradations.draws import between, integer
from sr_jax.degradations.settings import TapeSettings

SAMPLING = 13.5  # MHz
CARRIER = 315 / 88 / SAMPLING  # periods a pixel
REACH = 20  # taps to either side: 3 standard deviations of the least bandwidth, twice passed
DROPOUTS = 3  # a frame, at most
MAX_SWITCH = 12  # lines after the heads have switched
JITTER_MEMORY = 0.9  # of the shift of a line, what it has of the one above
# Rows: Y, Cb, Cr of R, G, B (ITU-R BT.601).
TO_PARTS = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
FROM_PARTS = np.linalg.inv(TO_PARTS).astype(np.float32)


def degrade(
    hq: Float[Array, 'n t h w 3'], scale: int, settings: TapeSettings, keys: Key[Array, ' n']
) -> Float[Array, 'n t h2 w2 3']:
    """Returns small clips as from a tape, in [0, 1], ceil(side / scale) pixels a side.

    Args:
      hq: clips in [0, 1].
      scale: of the network.
      settings: the ranges of what is drawn.
      keys: of each clip.
    """
    small = gaussian.degrade(hq.reshape(-1, *hq.shape[2:]), scale, settings.sigma)
    clips = small.reshape(*hq.shape[:2], *small.shape[1:])
    return jax.vmap(lambda clip, key: _play(clip, settings, key))(clips, keys)


def _play(clip: Float[Array, 't h w 3'], s: TapeSettings, key: Array) -> Float[Array, 't h w 3']:
    decide, luma_key, chroma_key, drop_key, jitter_key, switch_key = jax.random.split(key, 6)
    u = jax.random.uniform(decide, (16,))
    parts = jnp.einsum('pc,thwc->thwp', TO_PARTS, clip)
    parts = change_levels(parts, u[:8].reshape(4, 2), s)
    parts = mix(parts, between(u[8], *s.crosstalk))
    passes = integer(u[9], *s.generations).astype(jnp.float32)
    luma_width, chroma_width = (
        jnp.sqrt(passes) * width_of(between(u[10 + i], *band))
        for i, band in enumerate((s.luma_band, s.chroma_band))
    )
    delay = between(u[12], *s.chroma_delay)
    lines = jnp.arange(clip.shape[1]) - integer(u[13], *s.chroma_lines)
    late = parts[:, jnp.maximum(lines, 0), :, 1:]
    luma, chroma = low_pass(parts[..., :1], luma_width), low_pass(late, chroma_width, delay)
    noise = jnp.sqrt(passes) * between(u[14], *s.noise) / 255
    luma += noise * _noise(luma_key, luma.shape, luma_width)
    chroma += noise * _noise(chroma_key, chroma.shape, chroma_width)
    luma = drop(luma, drop_key, s.dropouts)
    parts = jnp.concatenate([luma, chroma], axis=-1)
    parts = shift_lines(parts, jitter(jitter_key, (len(parts), parts.shape[1]), s.jitter))
    parts = switch_heads(parts, switch_key, s)
    parts = jnp.where(u[15] < s.field_prob, keep_one_field(parts), parts)
    return jnp.clip(jnp.einsum('cp,thwp->thwc', FROM_PARTS, parts), 0, 1)


def change_levels(
    parts: Float[Array, 't h w 3'], u: Float[Array, '4 2'], s: TapeSettings
) -> Float[Array, 't h w 3']:
    """Returns luma and chroma with other levels; they go from a first to a last value each."""
    time = jnp.linspace(0, 1, len(parts))
    ranges = (s.gain, s.offset, s.saturation, s.hue)
    gain, offset, saturation, hue = (
        between(first, *r) + s.drift * time * (between(last, *r) - between(first, *r))
        for (first, last), r in zip(u, ranges, strict=True)
    )
    gain, offset, saturation, hue = (
        x[:, None, None] for x in (gain, offset, saturation, jnp.radians(hue))
    )
    y, blue, red = (parts[..., i] for i in range(3))
    cos, sin = saturation * jnp.cos(hue), saturation * jnp.sin(hue)
    return jnp.stack([gain * y + offset, cos * blue - sin * red, sin * blue + cos * red], -1)


def mix(parts: Float[Array, 't h w 3'], share: Array) -> Float[Array, 't h w 3']:
    """Returns luma with dots and chroma with rainbows: so much of what a decoder cannot part."""
    t, height, width = parts.shape[:3]
    time, rows, columns = jnp.meshgrid(*map(jnp.arange, (t, height, width)), indexing='ij')
    phase = 2 * math.pi * CARRIER * columns + math.pi * (rows + time)
    sin, cos = jnp.sin(phase), jnp.cos(phase)
    luma, chroma = parts[..., 0], parts[..., 1:]
    edges = chroma - low_pass(chroma, jnp.float32(2.0))
    fine = luma - low_pass(luma[..., None], jnp.float32(1.0))[..., 0]
    dots = share * (edges[..., 0] * sin + edges[..., 1] * cos)
    rainbows = 2 * share * fine[..., None] * jnp.stack([sin, cos], axis=-1)
    return jnp.concatenate(
        [(luma + dots)[..., None], chroma + low_pass(rainbows, jnp.float32(2.0))], axis=-1
    )


def width_of(band: Array) -> Array:
    """Returns the standard deviation, in pixels, of the Gaussian that is 3 dB down at so many MHz:
    sqrt(ln 2) / (2 pi f)."""
    return math.sqrt(math.log(2)) / (2 * math.pi * band / SAMPLING)


def low_pass(
    x: Float[Array, 't h w c'], width: Array, delay: Array | float = 0.0
) -> Float[Array, 't h w c']:
    """Returns lines blurred by a Gaussian of a width, and moved to the right by `delay` pixels."""
    taps = jnp.arange(-REACH, REACH + 1, dtype=jnp.float32)
    weights = jnp.exp(-jnp.square((taps + delay) / width) / 2)
    weights /= weights.sum()
    t, height, length, channels = x.shape
    padded = jnp.pad(x, ((0, 0), (0, 0), (REACH, REACH), (0, 0)), mode='edge')
    lines = padded.transpose(0, 1, 3, 2).reshape(-1, length + 2 * REACH, 1)
    layout = ('NWC', 'WIO', 'NWC')
    blurred = lax.conv_general_dilated(
        lines, weights[:, None, None], (1,), 'VALID', dimension_numbers=layout
    )
    return blurred.reshape(t, height, channels, length).transpose(0, 1, 3, 2)


def _noise(key: Array, shape: tuple[int, ...], width: Array) -> Float[Array, 't h w c']:
    """Noise of deviation 1 that a band of such a width has let through."""
    blurred = low_pass(jax.random.normal(key, shape), width)
    return blurred * jnp.sqrt(jnp.maximum(2 * math.sqrt(math.pi) * width, 1))


def drop(luma: Float[Array, 't h w 1'], key: Array, probability: float) -> Float[Array, 't h w 1']:
    """Returns luma with parts of lines white, and fading to the right."""
    t, height, width, _ = luma.shape
    u = jax.random.uniform(key, (4, t, DROPOUTS, 1, 1))
    line = jnp.floor(u[0] * height)
    start, length = u[1] * width, between(u[2], 2.0, width / 4)
    rows, columns = jnp.arange(height)[:, None], jnp.arange(width)[None, :]
    since = columns[None, None] - start
    lost = (rows[None, None] == line) & (since >= 0) & (u[3] < probability)
    shown = jnp.where(lost, jnp.exp(-since / length), 0.0).max(1)[..., None]
    return luma + shown * (1 - luma)


def jitter(key: Array, shape: tuple[int, int], strength: float) -> Float[Array, 't h']:
    """Returns how far each line of frames [t, h] shifts: `strength` pixels on average, as a walk
    that is drawn back."""
    steps = jax.random.normal(key, shape)
    factor = math.sqrt(1 - JITTER_MEMORY**2)

    def follow(last: Array, step: Array) -> tuple[Array, Array]:
        now = JITTER_MEMORY * last + factor * step
        return now, now

    _, walk = lax.scan(follow, steps[:, 0], steps.T)
    return strength * walk.T


def shift_lines(x: Float[Array, 't h w c'], shift: Float[Array, 't h']) -> Float[Array, 't h w c']:
    """Returns lines moved to the right, linear between pixels; the outer ones repeat."""
    width = x.shape[2]
    place = jnp.arange(width, dtype=jnp.float32)[None, None] - shift[..., None]
    before = jnp.clip(jnp.floor(place), 0, width - 2)
    weight = jnp.clip(place - before, 0, 1)[..., None]
    at = before.astype(jnp.int32)[..., None]
    first, second = (jnp.take_along_axis(x, at + i, axis=2) for i in (0, 1))
    return first + weight * (second - first)


def switch_heads(
    x: Float[Array, 't h w 3'], key: Array, s: TapeSettings
) -> Float[Array, 't h w 3']:
    """Returns frames whose last lines, as many in all of a clip, are displaced and noisy."""
    decide, spread = jax.random.split(key)
    u = jax.random.uniform(decide, (3,))
    lines = jnp.where(u[0] < s.switch_prob, integer(u[1], 1, MAX_SWITCH), 0)
    after = jnp.arange(x.shape[1]) >= x.shape[1] - lines
    far = after * between(u[2], -s.switch_shift, s.switch_shift)
    moved = shift_lines(x, jnp.broadcast_to(far[None], x.shape[:2]))
    noise = s.switch_noise / 255 * jax.random.normal(spread, x.shape)
    return moved + after[None, :, None, None] * noise


def keep_one_field(x: Float[Array, 't h w 3']) -> Float[Array, 't h w 3']:
    """Returns frames of which every other line is the mean of the two beside it."""
    above = jnp.concatenate([x[:, 1:2], x[:, :-1]], axis=1)
    below = jnp.concatenate([x[:, 1:], x[:, -2:-1]], axis=1)
    lost = (jnp.arange(x.shape[0])[:, None] + jnp.arange(x.shape[1])[None]) % 2 == 1
    return jnp.where(lost[:, :, None, None], (above + below) / 2, x)
