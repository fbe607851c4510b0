"""Images of any size through a network for super-resolution, in a bounded memory.

An image is cut into windows that overlap by what the network looks at (`sr_jax.inference.tiles`),
so that the parts together are what the network makes of the whole. All windows have one size, also
those of images smaller than that: what lies beyond an image's edge is held at zero before every
convolution, as its own padding would be, so one compiled function serves a folder of many sizes.
"""

import functools
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Num

from sr_jax.devices import compiling, memory, sharding
from sr_jax.errors import InputError
from sr_jax.images.arrays import take_pixels
from sr_jax.images.decoding import from_float, to_float
from sr_jax.inference import channels, tiles
from sr_jax.inference.consistency import make_consistent
from sr_jax.inference.latents import Drawing, make_drawing
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.inference.options import check_options
from sr_jax.inference.programs import apply_network, arrange, choose_form, make_module
from sr_jax.inference.windows import Size, Windows, make_demands
from sr_jax.models.protocols import Enlarger, Patchwise

USABLE = 0.9  # of a device's memory
PATCH = 256  # pixels along a side, of networks that compute a window's layers in patches
IN_FLIGHT = 2  # rounds of windows on their way, so that the device need not wait for the host


class Upscaler:
    """A network ready to enlarge images; what it compiled is kept for the next ones.

    Args:
      network: of `sr_jax.inference.networks.load`, an `sr_jax.models.protocols.Enlarger`.
      halo: pixels of an image around a window's core; None: as many as the network looks at, with
        which the parts are exactly the whole, and at most a quarter of the tile. Fewer are faster,
        and may leave seams.
      tile: most pixels along a side of a window, halo included; 0: as memory allows, and of a
        network that looks at whole images, these. With one, its parts are not exactly the whole.
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
      bounded: images lie in [0, 1], and so do results; False for films, whose colors can lie
        outside and come back.
      products: of 3 x 3 convolutions: 'all'; 'few', on CPUs in float32, and in bfloat16 where they
        have instructions for it, which are quicker and the same but for rounding
        (`sr_jax.layers.winograd`), but compiled longer; 'auto': these where there is work enough.
      report: is given a line about each window chosen.

    Raises:
      InputError: the network does not enlarge images, or whole ones are enlarged at once and there
        is a halo or a tile; an option of another type or out of its range, or a temperature for a
        network that draws nothing.

    Attributes:
      scale: output pixels per pixel along a side.
      channels: of images that it takes: 3, also where the network has but one, or 4 of a network
        for RGBA, which may be given RGB as well.
      module: the network.
      program: the network, as a pure function of its variables and of images that are padded.
      multiple: what the sides of those must be multiples of.
      is_plain: whether that function is all there is to it: no latents, no division by rows, no
        moving to what is consistent, no single size, no transparency.
      mesh, variables: the devices, and what lies on each of them.
      compiler_options: with which its programs are compiled.
      limit: bytes of one device that may be taken.
      source: what messages call the network.
    """

    def __init__(
        self,
        network: LoadedNetwork,
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
        bounded: bool = True,
        products: str = 'auto',
        report: Callable[[str], None] = lambda line: None,
    ):
        check_options(
            halo=halo, tile=tile, dtype=dtype, memory_limit=memory_limit, spatially=spatially,
            temperature=temperature, seed=seed, consistent=consistent, bounded=bounded,
            products=products, devices=devices,
        )  # fmt: skip
        # NumPy's integers of a few bits would overflow in what is computed with them.
        tile, memory_limit, seed = int(tile), int(memory_limit), int(seed)
        halo = None if halo is None else int(halo)
        module = make_module(network, dtype)
        undivided = _is_undivided(module, spatially, halo, tile, network.source)
        if isinstance(module, Patchwise) and not undivided:
            module = module.clone(patch=PATCH)  # type: ignore[attr-defined]
        self.module: Any = module
        self.scale: int = module.scale
        self.channels = channels.count_channels(module, network.source)
        self.source, self._input_size = network.source, module.input_size
        self._drawing: Drawing = make_drawing(module, temperature, seed, network.source)
        self.mesh = sharding.make_mesh(list(devices) if devices else None)
        self.limit = memory_limit or int(USABLE * memory.device_memory())
        self.compiler_options = compiling.compiler_options(self.mesh.devices.flat[0], dtype)
        self._network = network
        self._undivided, self._spatially, self._consistent = undivided, spatially, consistent
        self._bounded, self._report = bounded, report
        self._compile = functools.cache(self._compile_window)
        self._place = functools.cache(self._place_variables)
        self.multiple = module.multiple
        self._apply = functools.partial(
            apply_network, module, self.channels, network.source, bounded
        )
        self._repeats = bool(module.REPEATED)
        # Of rows that are split over devices, tiles would be gathered.
        on_cpu = self.mesh.devices.flat[0].platform == 'cpu'
        quick = dtype == 'float32' or compiling.has_onednn(self.compiler_options)
        may_be_few = on_cpu and quick and not spatially
        self._choose_form = functools.partial(
            choose_form,
            weights=sum(leaf.size for leaf in jax.tree.leaves(network.variables)),
            products=products if may_be_few else 'all',
            devices=self.mesh.size,
            dtype=dtype,
        )
        self._pixels, self._form = 0, self._choose_form(0)  # the most at a time, and what they take
        self.program: Callable[..., Any] = functools.partial(
            self._apply, self._choose_form(math.inf)
        )
        special = spatially or consistent or self._input_size or self.channels != 3
        self.is_plain = not (special or temperature)
        self._demands = make_demands(module, halo, tile, undivided, spatially, self.mesh.size)
        self._windows = Windows(
            self._demands,
            needed=lambda window: memory.compiled_bytes(self._compile(window)),
            limit=self.limit,
            source=network.source,
        )

    def prepare(self, sizes: Iterable[Size]) -> None:
        """Chooses and compiles the window for images of these sizes.

        For a network that looks at whole images, which cannot share a window, only if they are of
        one size.

        Raises:
          InputError: even the smallest window takes too much memory, or more than the tile.
        """
        sizes = list(sizes)
        pixels = sum(height * width for height, width in sizes)
        self._pixels = max(self._pixels, pixels)
        if (form := self._choose_form(self._pixels)) != self._form:
            self._form = form
            self._compile.cache_clear()
            self._place.cache_clear()
        if self._input_size:
            sizes = [(self._input_size, self._input_size)]
        if self._windows.choose(sizes):
            self._report(f'{self._windows.describe()}; {self._describe_work(pixels)}')

    def __call__(
        self,
        pixels: Num[np.ndarray, 'h w c'],
        progress: Callable[[int, int], None] = lambda done, count: None,
        sample: int = 0,
    ) -> Num[np.ndarray, 'h2 w2 c']:
        """The image, `scale` times as high and as wide, in its own precision.

        Args:
          pixels: RGB, uint8, uint16 or floating numbers in [0, 1], which become float32; RGBA too,
            where `channels` is 4. What else there may be of an image, `sr_jax.upscale` takes.
          progress: is given the windows done and their number.
          sample: which of the images that a flow draws.

        Raises:
          InputError: the image cannot be taken, or its result is not finite; the network takes
            images of another size only; the memory does not suffice.
        """
        pixels = self._take(pixels)
        while True:
            if not self._windows.serves(pixels.shape[:2]):
                self.prepare([pixels.shape[:2]])
            try:
                if pixels.shape[2] < self.channels:
                    opaque = channels.add_opacity(pixels)
                    return self._enlarge(opaque, progress, sample)[..., :3]
                return self._enlarge(pixels, progress, sample)
            except jax.errors.JaxRuntimeError as error:
                if 'RESOURCE_EXHAUSTED' not in str(error):
                    raise
                self._windows.halve()
                self._report('the device ran out of memory: windows of half as many pixels')
                self._compile.cache_clear()

    def _take(self, pixels: np.ndarray) -> np.ndarray:
        """The image in a type that is computed with, once it was found to be one."""
        pixels = np.asarray(pixels)
        if pixels.ndim != 3 or pixels.shape[2] not in (3, self.channels):
            raise InputError(
                f'an array of shape {pixels.shape} is no RGB image [height, width, 3], channels '
                'last; sr_jax.upscale takes grey and transparency too'
            )
        pixels = take_pixels(pixels) if self._bounded else pixels.astype(np.float32, copy=False)
        (height, width), side = pixels.shape[:2], self._input_size
        if side and (height, width) != (side, side):
            raise InputError(
                f'{self.source}: this network takes images of {side}x{side} pixels, not of '
                f'{width}x{height}: crop or resize them'
            )
        return pixels

    def _describe_work(self, pixels: int) -> str:
        """The pixels to enlarge, and how the program is therefore compiled."""
        line = f'{pixels / 1e6:.3g} megapixels to enlarge'
        return line + self._form.describe(self._repeats)

    @property
    def variables(self) -> Any:
        """The network's, on each device."""
        return self._place(False)

    def _place_variables(self, as_loop: bool) -> Any:
        arranged = arrange(self._network.variables, self.module, as_loop)
        return jax.device_put(arranged, sharding.replicated_sharding(self.mesh))

    def _compile_window(self, window: Size) -> Any:
        """The compiled (variables, windows, valid, latents) -> enlarged windows."""
        rows = PartitionSpec(None, sharding.DATA_AXIS)
        everywhere = sharding.replicated_sharding(self.mesh)
        batch = sharding.batch_sharding(self.mesh)
        if self._undivided:
            batch = everywhere
        images = NamedSharding(self.mesh, rows) if self._spatially else batch
        at_once = self._demands.at_once
        shapes = (
            jax.tree.map(
                lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype), self._place(self._form.as_loop)
            ),
            jax.ShapeDtypeStruct((at_once, *window, self.channels), jnp.float32),
            jax.ShapeDtypeStruct((at_once, 2), jnp.int32),
            [
                jax.ShapeDtypeStruct((at_once, *shape), jnp.float32)
                for shape in self._drawing.shapes(*window)
            ],
        )
        apply = jax.jit(
            functools.partial(self._apply, self._form),
            in_shardings=(everywhere, images, batch, images),
            out_shardings=images,
            compiler_options=self._form.compiler_options(self.compiler_options),
        )
        return apply.lower(*shapes).compile()

    def _enlarge(
        self, pixels: np.ndarray, progress: Callable[[int, int], None], sample: int
    ) -> np.ndarray:
        size, demands = self._windows.round_up(pixels.shape[:2]), self._demands
        parts = list(tiles.tiles(size, self._windows.chosen, demands.halo, demands.multiple))
        kept = np.float32 if self._consistent else pixels.dtype  # not rounded before its time
        sides = (pixels.shape[0] * self.scale, pixels.shape[1] * self.scale)
        result = np.empty((*sides, self.channels), kept)
        pending: deque[tuple[int, list[tiles.Tile], Array]] = deque()

        def collect() -> None:
            first, those, made = pending.popleft()
            for part, enlarged in zip(those, np.asarray(made), strict=False):
                tiles.place(result, part, enlarged, self.scale, self.source)
            progress(first + len(those), len(parts))

        for first in range(0, len(parts), demands.at_once):
            those = parts[first : first + demands.at_once]
            pending.append((first, those, self._start(pixels, size, those, sample)))
            if len(pending) == IN_FLIGHT:
                collect()
        while pending:
            collect()
        if not self._consistent:
            return result
        return from_float(make_consistent(result, to_float(pixels)), pixels.dtype)

    def _start(self, pixels: np.ndarray, size: Size, parts: list[tiles.Tile], sample: int) -> Array:
        """Has the devices begin with some windows of an image; returns what they will be."""
        window, at_once = self._windows.chosen, self._demands.at_once
        windows = np.zeros((at_once, *window, self.channels), np.float32)
        valid = np.ones((at_once, 2), np.int32)
        for i, part in enumerate(parts):
            windows[i] = tiles.cut(pixels, part, window, self._demands.mirrored)
            valid[i] = size[0] - part.rows.start, size[1] - part.columns.start
        drawn = self._drawing.draw(parts, window, at_once, sample)
        variables = self._place(self._form.as_loop)
        return self._compile(window)(variables, windows, valid, drawn)


def _is_undivided(
    module: Enlarger, spatially: bool, halo: int | None, tile: int, source: str
) -> bool:
    """Whether each image is one window: as asked, or as the network looks at all of it.

    Raises:
      InputError: it is, and there is a tile or a halo.
    """
    if spatially or module.input_size is not None:
        reason, remedy = 'as asked' if spatially else 'this network takes images of one size', ''
    elif module.halo is None and not tile:
        reason = 'this network looks at all of one'
        remedy = '; with a tile (--tile) they are enlarged in parts, not exactly the same'
    else:
        return False
    if halo is not None or tile:
        raise InputError(
            f'{source}: whole images are enlarged at once ({reason}), so there is neither a tile '
            f'nor a halo to set{remedy}'
        )
    return True
