"""A film's frames through a network: planes in, planes out, all between on the devices.

A frame that fits into the memory whole goes with others in one compiled program, so that only
planes travel to the devices and back. A larger one, one with opacity, and what asks for more than
the bare network goes through `Upscaler`, window by window, in float32.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from sr_jax.devices import memory, sharding
from sr_jax.errors import LastingError
from sr_jax.film import color, tone
from sr_jax.film.formats import FrameKind, Planes, plane_sizes
from sr_jax.film.tape import chain
from sr_jax.images.decoding import Layers
from sr_jax.images.finite import REMEDY
from sr_jax.inference.layers import enlarge
from sr_jax.inference.upscaler import Upscaler

# Pixels of the frames of a batch, per device: more at once are not faster. (On a CPU 1, 4 and 16
# frames of 160x120 took 0.129 s each.) What is not full is computed all the same.
ENOUGH_PIXELS = {'cpu': 2**14}
ENOUGH_ELSEWHERE = 2**19
MAX_BATCH = 16


class Tape(NamedTuple):
    """How a film of an old tape is cleaned before: the steps, and what they go by."""

    settings: chain.TapeSettings
    findings: chain.Findings


class Change(NamedTuple):
    """What becomes of frames.

    Attributes:
      before, after: what they are.
      dither: how planes are rounded, one of `sr_jax.film.color.DITHERS`.
      compare: the left half shows them enlarged bicubically, the right half by the network.
      tape: None where nothing is cleaned.
      remembers: the network sees frames one after the other.
    """

    before: FrameKind
    after: FrameKind
    dither: str = 'none'
    compare: bool = False
    tape: Tape | None = None
    remembers: bool = False

    @property
    def warms_up(self) -> bool:
        """Whether frames before a piece change what becomes of it."""
        return self.tape is not None or self.remembers


class Made(NamedTuple):
    """Planes on their way from the devices, and of each frame whether all was finite."""

    planes: tuple[Array, ...]
    finite: Bool[Array, 'n']


class FrameEnlarger:
    """Enlarges frames in batches.

    Args:
      upscaler: the network; not `bounded`.
      change: what is before and after.
      each: frames that a device takes at a time, 0 for windows of them; None: as memory allows.
        Results of other numbers may be rounded otherwise.

    Raises:
      InputError: the memory does not suffice for so many, or not even for windows.

    Attributes:
      batch: how many frames it takes at a time.
      each: how many of them a device takes whole; 0: they go through in windows.
    """

    def __init__(self, upscaler: Upscaler, change: Change, each: int | None = None):
        self._upscaler, self._change = upscaler, change
        self._state: chain.State | None = None
        self._sharding = sharding.batch_sharding(upscaler.mesh)
        self.batch, self.each = 1, 0
        self._compiled = None
        if upscaler.is_plain and not change.before.pixels.alpha and each != 0:
            self._compiled = self._choose_batch(each)
        if self._compiled is None:
            upscaler.prepare([(self._rows, change.before.width)])

    @property
    def _rows(self) -> int:
        """Lines that go through the network."""
        tape = self._change.tape
        return self._change.before.height - (tape.findings.lines if tape else 0)

    def _choose_batch(self, wanted: int | None) -> Any:
        """Sets `batch`; returns the compiled program, or None where not even one frame fits."""
        limit = self._upscaler.limit
        pixels = self._rows * self._change.before.width
        platform = self._upscaler.mesh.devices.flat[0].platform
        enough = ENOUGH_PIXELS.get(platform, ENOUGH_ELSEWHERE)
        each = wanted or min(MAX_BATCH, max(1, enough // pixels))
        while each:
            self.batch, self.each = each * self._upscaler.mesh.size, each
            compiled = self._compile()
            needed = memory.compiled_bytes(compiled)
            if needed <= limit:
                return compiled
            if wanted:
                raise LastingError(
                    f'{wanted} frames at a time, as before, take {needed / 2**20:.4g} MiB of '
                    f'memory, and {limit / 2**20:.4g} may be taken: raise that (--memory), or '
                    'begin anew'
                )
            each = min(each // 2, math.floor(0.9 * each * limit / needed))
        self.batch, self.each = 1, 0
        return None

    def _compile(self) -> Any:
        """Returns the compiled (variables, planes or RGB) -> Made for a batch."""
        before = self._change.before
        everywhere = sharding.replicated_sharding(self._upscaler.mesh)
        variables = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), self._upscaler.variables
        )
        given: Any = jax.ShapeDtypeStruct((self.batch, self._rows, before.width, 3), jnp.float32)
        if self._change.tape is None:
            kind = jnp.uint8 if before.pixels.depth == 8 else jnp.uint16
            sizes = plane_sizes(before.pixels, before.height, before.width)
            given = tuple(jax.ShapeDtypeStruct((self.batch, *size), kind) for size in sizes)
        program = jax.jit(
            functools.partial(_enlarge_whole, self._upscaler, self._change),
            in_shardings=(everywhere, self._sharding),
            out_shardings=self._sharding,
            compiler_options=self._upscaler.compiler_options,
        )
        return program.lower(variables, given).compile()

    def begin(self, before: Sequence[Planes]) -> None:
        """Forgets the frames so far.

        Args:
          before: frames just before the next ones, [h, w] each, from which a tape's filters learn.
        """
        self._state = None
        for planes in before:
            if self._change.tape:
                self._clean(tuple(plane[None] for plane in planes))

    def start(self, planes: Planes) -> Made:
        """Has the devices begin with a batch of frames; returns what they will be."""
        given: Any = planes
        if self._change.tape:
            given = self._clean(planes)
        if self._compiled is not None:
            if self._change.tape:
                given = jax.device_put(given, self._sharding)
            return self._compiled(self._upscaler.variables, given)
        before = self._change.before
        if not self._change.tape:
            given = color.to_rgb(planes, before.pixels, before.color)
        opacity = color.to_alpha(planes, before.pixels) if before.pixels.alpha else None
        return self._enlarge_in_parts(given, opacity)

    def finish(self, made: Made) -> Planes:
        """Returns the planes when they are there.

        Raises:
          InputError: the network made numbers that are not finite.
        """
        return check_made(made, self._upscaler.source)

    def _clean(self, planes: Planes) -> Float[Array, 'n h w 3']:
        """Returns frames as RGB, cleaned; those to come are cleaned by what these were."""
        tape, before = self._change.tape, self._change.before
        assert tape is not None
        rgb = color.to_rgb(planes, before.pixels, before.color)
        if self._state is None:
            self._state = chain.start(rgb[0], *tape)
        rgb, self._state = chain.clean(rgb, *tape, self._state)
        return rgb

    def _enlarge_in_parts(
        self, rgb: Float[Array, 'n h w 3'], opacity: Float[Array, 'n h w'] | None
    ) -> Made:
        """Enlarges frames by `Upscaler`, one after the other."""
        change, scale = self._change, self._upscaler.scale
        given = tone.to_tone(rgb, change.before.color.transfer)
        made: list[Any] = []
        alphas: list[Any] = []
        for number, image in enumerate(np.asarray(given)):
            shown = None if opacity is None else np.asarray(opacity[number])[..., None]
            layers = enlarge(Layers(image, shown), self._upscaler, scale)
            made.append(layers.color)
            alphas.append(layers.alpha)
        alpha = None if opacity is None else jnp.stack(alphas)[..., 0]
        whole = jnp.stack(made)  # Upscaler has looked whether all is finite
        return Made(leave(given, whole, alpha, change), jnp.ones(len(whole), bool))


def check_made(made: Made, source: str) -> Planes:
    """Returns the planes when they are there.

    Args:
      made: on the devices.
      source: of the network, for the message.

    Raises:
      InputError: the network made numbers that are not finite.
    """
    if not np.asarray(made.finite).all():
        raise LastingError(
            f'what {source} makes of a frame has values that are not finite: {REMEDY}'
        )
    return tuple(np.asarray(plane) for plane in made.planes)


def _enlarge_whole(upscaler: Upscaler, change: Change, variables: Any, given: Any) -> Made:
    """Enlarges a batch in one piece; `given` is planes, or RGB where a tape was cleaned."""
    before = change.before
    rgb = given if change.tape else color.to_rgb(given, before.pixels, before.color)
    rgb = tone.to_tone(rgb, before.color.transfer)
    count, height, width, _ = rgb.shape
    more = [-side % upscaler.multiple for side in (height, width)]
    padded = jnp.pad(rgb, ((0, 0), (0, more[0]), (0, more[1]), (0, 0)), mode='edge')
    valid = jnp.broadcast_to(jnp.array(padded.shape[1:3], jnp.int32), (count, 2))
    made = upscaler.program(variables, padded, valid)
    made = made[:, : height * upscaler.scale, : width * upscaler.scale]
    finite = jnp.isfinite(made).all(axis=(1, 2, 3))
    return Made(leave(rgb, made, None, change), finite)


@functools.partial(jax.jit, static_argnames='change')
def leave(
    given: Float[Array, 'n h w 3'],
    made: Float[Array, 'n h2 w2 3'],
    alpha: Float[Array, 'n h2 w2'] | None,
    change: Change,
) -> tuple[Array, ...]:
    """Returns the planes of enlarged frames.

    Args:
      given: what went through the network.
      made: what came of it.
      alpha: opacity, enlarged.
      change: what is before and after.
    """
    after = change.after
    if change.before.pixels.layout == 'gray':
        made = jnp.broadcast_to(made.mean(axis=-1, keepdims=True), made.shape)
    size = (after.height, after.width // 2 if change.compare else after.width)
    made = _resize(made, size, 'lanczos3')
    if alpha is not None:
        alpha = _resize(alpha[..., None], size, 'lanczos3')[..., 0]
    if change.compare:
        made = jnp.concatenate([_resize(given, size, 'cubic'), made], axis=2)
        alpha = None if alpha is None else jnp.tile(alpha, (1, 1, 2))
    made = tone.from_tone(made, after.color.transfer)
    return color.to_planes(made, after.pixels, after.color, alpha=alpha, dither=change.dither)


def _resize(
    images: Float[Array, 'n h w c'], size: tuple[int, int], method: str
) -> Float[Array, 'n h2 w2 c']:
    """Resizes images, with a filter that is widened where they shrink."""
    if images.shape[1:3] == size:
        return images
    return jax.image.resize(images, (len(images), *size, images.shape[-1]), method)
