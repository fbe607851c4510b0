"""A film's frames through a network that remembers: one after the other, with what each leaves.

The memory is forgotten at a cut, and at the beginning of a piece it is made anew from the frames of
the second before: so a film that was broken off and went on is the same as one that was not.
Frames too large for the memory of a device go through in windows, of what is remembered too, which
together are exactly the whole.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import SingleDeviceSharding
from jaxtyping import Array, Bool, Float

from sr_jax.devices import memory
from sr_jax.errors import InputError, LastingError
from sr_jax.film import color, tone
from sr_jax.film.formats import Planes
from sr_jax.inference import tiles
from sr_jax.inference.film.frames import Change, Made, check_made, leave
from sr_jax.inference.upscaler import Upscaler
from sr_jax.models.protocols import Recurrent

BLOCK = 8  # pixels of the squares whose means tell a cut
CUT = 0.1  # by which they differ at a cut, on average, on the scale of [0, 1]


def is_cut(earlier: Float[Array, '1 h w 3'], later: Float[Array, '1 h w 3']) -> Bool[Array, '']:
    """Tells whether a new scene begins: whether means over squares of 8 x 8 pixels differ by more
    than a tenth of the range on average. What moves by less than a square hardly changes them."""
    height, width = (side // BLOCK * BLOCK for side in earlier.shape[1:3])
    difference = (later - earlier)[:, :height, :width]
    shape = (height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3)
    return jnp.abs(difference.reshape(shape).mean((1, 3))).mean() > CUT


class Parts(NamedTuple):
    """How frames go through: their size, padded, and that of a window; both the same: whole."""

    size: tuple[int, int]
    window: tuple[int, int]


class RecurrentEnlarger:
    """Enlarges the frames of a film one by one; used as `FrameEnlarger` is.

    Args:
      upscaler: of a network that remembers; not `bounded`.
      change: what is before and after.

    Raises:
      InputError: opacity, a tape to be cleaned, or too little memory for the smallest window.

    Attributes:
      batch: 1.
      each: 1 where frames go through whole, 0 where in windows.
    """

    def __init__(self, upscaler: Upscaler, change: Change):
        if change.before.pixels.alpha or change.tape:
            what = 'opacity' if change.before.pixels.alpha else '--tape'
            raise InputError(f'{upscaler.source} remembers frames, which does not go with {what}')
        self._upscaler, self._change = upscaler, change
        self._module: Any = upscaler.module
        self._device = upscaler.mesh.devices.flat[0]  # frames wait for each other: one is enough
        self._variables = jax.device_put(upscaler.variables, self._device)
        sides = (change.before.height, change.before.width)
        multiple: int = self._module.step_multiple
        size = tuple(-(-side // multiple) * multiple for side in sides)
        self._parts, self._step = self._choose_window((size[0], size[1]))
        self._memory: Any = None
        self.batch, self.each = 1, int(self._parts.window == self._parts.size)

    def begin(self, before: Sequence[Planes]) -> None:
        """Forgets the frames so far, and remembers those just before the next ones."""
        self._memory = None
        for planes in before:
            self._remember(tuple(plane[None] for plane in planes))

    def start(self, planes: Planes) -> Made:
        """Has the devices begin with a frame; returns what it will be."""
        given = self._remember(planes)
        height, width = self._change.before.height, self._change.before.width
        scale = self._upscaler.scale
        made = self._memory.image[:, : height * scale, : width * scale]
        finite = jnp.isfinite(made).all(axis=(1, 2, 3))
        return Made(leave(given, made, None, self._change), finite)

    def finish(self, made: Made) -> Planes:
        """Returns the planes when they are there; raises `InputError` as `FrameEnlarger` does."""
        return check_made(made, self._upscaler.source)

    def _remember(self, planes: Planes) -> Float[Array, '1 h w 3']:
        """Lets the network see a frame; returns it."""
        rgb, frame = _prepare(planes, self._change, self._parts.size)
        frame = jax.device_put(frame, self._device)
        if self._memory is None:
            self._memory = jax.device_put(self._module.start(frame), self._device)
        last = _forget_at_cut(self._memory, frame)
        if self.each:
            self._memory = self._step(self._variables, last, frame)
        else:
            self._memory = self._step_in_windows(last, frame)
        return rgb

    def _step_in_windows(self, last: Any, frame: Array) -> Any:
        """The memory after a frame, window by window."""
        scale, parts = self._upscaler.scale, self._parts
        image = np.empty(last.image.shape, np.float32)
        multiple, halo = self._module.step_multiple, self._module.step_halo
        for tile in tiles.tiles(parts.size, parts.window, halo, multiple):
            at, _, _ = _slices(tile, parts.window, 1)
            large_at, core, within = _slices(tile, parts.window, scale)
            seen = type(last)(last.frame[at], last.image[large_at])
            made = self._step(self._variables, seen, frame[at])
            image[core] = np.asarray(made.image)[within]
        return type(last)(frame, jax.device_put(image, self._device))

    def _choose_window(self, size: tuple[int, int]) -> tuple[Parts, Any]:
        """The largest window that fits into the memory, and its compiled step."""
        multiple, halo = self._module.step_multiple, self._module.step_halo
        least = 2 * -(-halo // multiple) * multiple + multiple
        window = size
        while True:
            compiled = self._compile(window)
            if memory.compiled_bytes(compiled) <= self._upscaler.limit:
                return Parts(size, window), compiled
            axis = int(window[1] >= window[0])
            side = max(window[axis] // 2 // multiple * multiple, least)
            smaller = (side, window[1]) if axis == 0 else (window[0], side)
            if side >= window[axis]:
                raise LastingError(
                    f'{self._upscaler.limit / 2**20:.4g} MiB of memory are too little for windows '
                    f'of {window[1]}x{window[0]} pixels, the smallest that {self._upscaler.source} '
                    'can be computed in: raise that (--memory)'
                )
            window = smaller

    def _compile(self, window: tuple[int, int]) -> Any:
        frame = jax.ShapeDtypeStruct((1, *window, 3), jnp.float32)
        last = jax.eval_shape(self._module.start, frame)
        variables = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), self._variables)
        place = SingleDeviceSharding(self._device)
        step = jax.jit(
            functools.partial(_step, self._module),
            in_shardings=place,
            out_shardings=place,
            compiler_options=self._upscaler.compiler_options,
        )
        return step.lower(variables, last, frame).compile()


def remembers(upscaler: Upscaler) -> bool:
    """Tells whether a network sees a film frame by frame, and remembers."""
    return isinstance(upscaler.module, Recurrent)


def _step(module: Any, variables: Any, last: Any, frame: Array) -> Any:
    return module.apply(variables, last, frame, method='step')[0]


@functools.partial(jax.jit, static_argnames=('change', 'size'))
def _prepare(
    planes: Planes, change: Change, size: tuple[int, int]
) -> tuple[Float[Array, '1 h w 3'], Float[Array, '1 h2 w2 3']]:
    """Returns a frame in RGB, and the same with its last rows and columns repeated up to a size."""
    before = change.before
    rgb = color.to_rgb(planes, before.pixels, before.color)
    rgb = tone.to_tone(rgb, before.color.transfer)
    more = [(0, whole - side) for whole, side in zip(size, rgb.shape[1:3], strict=True)]
    return rgb, jnp.pad(rgb, ((0, 0), *more, (0, 0)), mode='edge')


@jax.jit
def _forget_at_cut(last: Any, frame: Float[Array, '1 h w 3']) -> Any:
    """The memory before a frame: none where a new scene begins."""
    cut = is_cut(last.frame, frame)
    return jax.tree.map(lambda x: lax.select(cut, jnp.zeros_like(x), x), last)


def _slices(
    tile: tiles.Tile, window: tuple[int, int], scale: int
) -> tuple[tuple[slice, ...], tuple[slice, ...], tuple[slice, ...]]:
    """Returns where a window lies in a frame, where its core does, and the core in the window."""
    found: list[list[slice]] = [[slice(None)] for _ in range(3)]
    for span, side in zip(tile, window, strict=True):
        start, core, end = (scale * place for place in (span.start, span.core, span.end))
        found[0].append(slice(start, start + scale * side))
        found[1].append(slice(core, end))
        found[2].append(slice(core - start, end - start))
    at, core_at, within = (tuple(each) for each in found)
    return at, core_at, within
