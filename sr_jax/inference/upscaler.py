"""Images of any size through a network for super-resolution, in a bounded memory.

An image is cut into windows that overlap by what the network looks at (`sr_jax.inference.tiles`),
so that the parts together are what the network makes of the whole. All windows have one size, also
those of
images smaller than that: what lies beyond an image's edge is held at zero before every
convolution, as its own padding would be, so one compiled function serves a folder of many sizes.
"""

import functools
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Num

from sr_jax.devices import memory, sharding
from sr_jax.errors import InputError
from sr_jax.images.decoding import from_float, to_float
from sr_jax.images.files import read_image
from sr_jax.images.resize import resize_lanczos
from sr_jax.inference import latents, networks, tiles
from sr_jax.inference.consistency import consistent
from sr_jax.inference.windows import Demands, Size, Windows
from sr_jax.layers.borders import apply_within

Shape = tuple[int, int, int]  # height, width, channels

USABLE = 0.9  # of a device's memory
PATCH = 256  # pixels along a side, of networks that compute a window's layers in patches
IN_FLIGHT = 2  # rounds of windows on their way, so that the device need not wait for the host
KEPT = 4  # upscalers that the function `upscale` keeps


class Upscaler:
    """A network ready to enlarge images; what it compiled is kept for the next ones.

    Args:
      network: of `sr_jax.inference.networks.load`, one that has a scale.
      halo: pixels of an image around a window's core; None: as many as the network looks at, with
        which the parts are exactly the whole. Fewer are faster, and may leave seams.
      tile: most pixels along a side of a window, halo included; 0: as memory allows.
      dtype: name of the type that convolutions compute in.
      memory_limit: bytes of one device that may be taken; 0: what there is.
      devices: that share the work; all of them if None.
      spatially: split whole images over the devices by rows, XLA exchanging those at the seams,
        instead of giving each device windows of its own.
      temperature: of a flow: the standard deviation of the latents that images are drawn with; 0
        gives the one image of latents that are zero.
      seed: of those latents, at least 0.
      consistent: move each result to the nearest one that, shrunk again, is the given image:
        `sr_jax.inference.consistency`.
      report: is given a line about each window chosen.

    Raises:
      InputError: the network does not enlarge images, or looks at whole images and is given a
        halo or a tile; a temperature below 0, or for a network that draws nothing.
    """

    def __init__(
        self,
        network: networks.Network,
        *,
        halo: int | None = None,
        tile: int = 0,
        dtype: str = 'float32',
        memory_limit: int = 0,
        devices: Sequence[jax.Device] | None = None,
        spatially: bool = False,
        temperature: float = 0.0,
        seed: int = 0,
        consistent: bool = False,
        report: Callable[[str], None] = lambda line: None,
    ):
        module: Any = network.module(dtype=dtype)
        if not getattr(module, 'scale', 0):
            raise InputError(
                f'{network.source} holds a network of the kind {network.model["name"]!r}, which '
                'does not enlarge images: take weights of srresnet, rrdb, srvgg, switched_sr '
                'or srflow'
            )
        undivided = module.halo is None or spatially
        if undivided and (halo is not None or tile):
            raise InputError(
                f'{network.source}: whole images are enlarged at once '
                f'({"as asked" if spatially else "this network looks at all of one"}), so there is '
                'neither a tile nor a halo to set'
            )
        _check_temperature(network.source, module, temperature, seed)
        if hasattr(module, 'patch') and not undivided:
            module = module.clone(patch=PATCH)
        self.scale: int = module.scale
        self._latent_shapes: Callable[[int, int], list[Shape]] = (
            module.latent_shapes if temperature else lambda height, width: []
        )
        self._temperature, self._seed, self._consistent = temperature, seed, consistent
        self._mesh = sharding.make_mesh(list(devices) if devices else None)
        self._variables = jax.device_put(network.variables, sharding.replicated(self._mesh))
        self._multiple: int = getattr(module, 'multiple', 1)
        self._halo: int = module.halo or 0 if halo is None else halo
        self._undivided, self._spatially = undivided, spatially
        self._at_once = 1 if undivided else self._mesh.size
        self._report = report
        self._compile = functools.cache(functools.partial(self._compiled_for, module))
        rows = self._multiple * self._mesh.size if spatially else 1
        self._windows = Windows(
            Demands(
                self._halo, self._multiple, self._at_once, undivided, rows, module.halo is not None
            ),
            needed=lambda window: memory.compiled_bytes(self._compile(window)),
            limit=memory_limit or int(USABLE * memory.device_memory()),
            max_side=tile,
            source=network.source,
        )

    def prepare(self, sizes: Iterable[Size]) -> None:
        """Chooses and compiles the window for images of these sizes.

        For a network that looks at whole images, which cannot share a window, only if they are of
        one size.

        Raises:
          InputError: even the smallest window takes too much memory.
        """
        if self._windows.choose(sizes):
            height, width = self._windows.chosen
            self._report(
                f'windows of {width}x{height} pixels, halo {self._halo}, {self._at_once} at a time'
            )

    def __call__(
        self,
        pixels: Num[np.ndarray, 'h w 3'],
        progress: Callable[[int, int], None] = lambda done, count: None,
        sample: int = 0,
    ) -> Num[np.ndarray, 'h2 w2 3']:
        """The image, `scale` times as high and as wide, in its own precision.

        Args:
          pixels: RGB, uint8, uint16 or float32 in [0, 1].
          progress: is given the windows done and their number.
          sample: which of the images that a flow draws.

        Raises:
          InputError: the image has no pixels, or the memory does not suffice.
        """
        if not pixels.size:
            raise InputError(f'an image of {pixels.shape[1]}x{pixels.shape[0]} pixels is empty')
        size = pixels.shape[:2]
        while True:
            if not self._windows.serves(size):
                self.prepare([size])
            try:
                return self._enlarged(pixels, progress, sample)
            except jax.errors.JaxRuntimeError as error:
                if 'RESOURCE_EXHAUSTED' not in str(error):
                    raise
                self._windows.halve()
                self._report('the device ran out of memory: windows of half as many pixels')
                self._compile.cache_clear()

    def _compiled_for(self, module: nn.Module, window: Size) -> Any:
        """The compiled (variables, windows, valid, latents) -> enlarged windows."""
        rows = PartitionSpec(None, sharding.DATA_AXIS)
        everywhere, batch = sharding.replicated(self._mesh), sharding.over_batch(self._mesh)
        if self._undivided:
            batch = everywhere
        images = NamedSharding(self._mesh, rows) if self._spatially else batch
        shapes = (
            jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype), self._variables),
            jax.ShapeDtypeStruct((self._at_once, *window, 3), jnp.float32),
            jax.ShapeDtypeStruct((self._at_once, 2), jnp.int32),
            [
                jax.ShapeDtypeStruct((self._at_once, *shape), jnp.float32)
                for shape in self._latent_shapes(*window)
            ],
        )
        apply = jax.jit(
            functools.partial(_enlarge, module),
            in_shardings=(everywhere, images, batch, images),
            out_shardings=images,
        )
        return apply.lower(*shapes).compile()

    def _enlarged(
        self, pixels: np.ndarray, progress: Callable[[int, int], None], sample: int
    ) -> np.ndarray:
        size, window = self._windows.rounded_up(pixels.shape[:2]), self._windows.chosen
        parts = list(tiles.tiles(size, window, self._halo, self._multiple))
        compiled = self._compile(window)
        kept = np.float32 if self._consistent else pixels.dtype  # not rounded before its time
        sides = (pixels.shape[0] * self.scale, pixels.shape[1] * self.scale)
        result = np.empty((*sides, 3), kept)
        pending: deque[tuple[int, list[tiles.Tile], Array]] = deque()

        def collect() -> None:
            first, those, made = pending.popleft()
            for part, enlarged in zip(those, np.asarray(made), strict=False):
                tiles.place(result, part, enlarged, self.scale)
            progress(first + len(those), len(parts))

        for first in range(0, len(parts), self._at_once):
            those = parts[first : first + self._at_once]
            windows = np.zeros((self._at_once, *window, 3), np.float32)
            valid = np.ones((self._at_once, 2), np.int32)
            for i, part in enumerate(those):
                windows[i] = tiles.cut(pixels, part, window)
                valid[i] = size[0] - part.rows.start, size[1] - part.columns.start
            made = compiled(self._variables, windows, valid, self._latents(those, sample))
            pending.append((first, those, made))
            if len(pending) == IN_FLIGHT:
                collect()
        while pending:
            collect()
        if not self._consistent:
            return result
        return from_float(consistent(result, to_float(pixels)), pixels.dtype)

    def _latents(self, parts: list[tiles.Tile], sample: int) -> list[np.ndarray]:
        """What a flow draws the enlarged windows with: parts of one field for the whole image."""
        drawn = []
        height, width = self._windows.chosen
        for i, shape in enumerate(self._latent_shapes(height, width)):
            level = np.zeros((self._at_once, *shape), np.float32)
            for j, part in enumerate(parts):
                row = part.rows.start * shape[0] // height
                column = part.columns.start * shape[1] // width
                field = (self._seed, sample, i)
                level[j] = self._temperature * latents.noise(field, (row, column), shape)
            drawn.append(level)
        return drawn


def _check_temperature(source: str, module: Any, temperature: float, seed: int) -> None:
    if not 0 <= temperature < math.inf or seed < 0:
        raise InputError(f'temperature {temperature}, seed {seed}: neither may be negative')
    if temperature and not hasattr(module, 'latent_shapes'):
        raise InputError(
            f'{source}: this network gives one image only, so there is no temperature to set; a '
            'flow (srflow) draws many'
        )


def _enlarge(
    module: nn.Module, variables: dict[str, Any], windows: Array, valid: Array, drawn: list[Array]
) -> Array:
    inputs, method = ((tuple(drawn),), 'sample') if drawn else ((), '__call__')
    image = apply_within(module, variables, windows, valid, *inputs, method=method)
    return jnp.clip(image, 0.0, 1.0)


def upscale(
    image: Num[np.ndarray, 'h w 3'] | str | Path,
    weights: str | Path | networks.Network,
    outscale: float | None = None,
    **options: Any,
) -> Num[np.ndarray, 'h2 w2 3']:
    """An image enlarged by a network.

    Args:
      image: RGB, uint8, uint16 or float32 in [0, 1]; or a file, read by the rule of
        `sr_jax.images.files.read_image`.
      weights: what `sr_jax.inference.networks.load` takes, or what it returned. Of the last few
        runs, files and names, the network and what was compiled for it are kept, as they were when
        they were loaded; for many images with a network that was loaded before, take an `Upscaler`.
      outscale: output pixels per pixel along a side; None: the network's scale.
      options: see `Upscaler`.

    Returns:
      The enlarged image, in its own precision.

    Raises:
      InputError: the image or the weights cannot be used; the message says why.
    """
    pixels = read_image(image) if isinstance(image, (str, Path)) else np.asarray(image)
    if isinstance(weights, networks.Network):
        upscaler = Upscaler(weights, **options)
    else:
        upscaler = _upscaler(str(weights), tuple(sorted(options.items())))
    factor = upscaler.scale if outscale is None else outscale
    size = outscaled(pixels.shape[:2], factor)
    return resize_lanczos(upscaler(pixels), size)


@functools.lru_cache(KEPT)
def _upscaler(weights: str, options: tuple[tuple[str, Any], ...]) -> Upscaler:
    return Upscaler(networks.load(weights), **dict(options))


def outscaled(size: Size, outscale: float) -> Size:
    """The sides of an image times a factor, rounded, at least 1.

    Raises InputError for a factor that is not positive and finite.
    """
    if not 0 < outscale < math.inf:
        raise InputError(f'an image cannot be made {outscale} times as large (--outscale)')
    height, width = (max(round(side * outscale), 1) for side in size)
    return height, width
