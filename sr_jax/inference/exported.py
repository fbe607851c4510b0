"""Networks as programs for other tools: ONNX, and JAX's own StableHLO.

Both hold the weights, take images in [0, 1] and give larger ones, not clipped. ONNX takes them as
[n, c, h, w], as most programs that run such files do; StableHLO as [n, h, w, c], as all is here.
Without a size they take any number of images of any sides, or of those that the network says;
where it asks for multiples, they mirror images at the lower and the right edge, and cut what they
give.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jaxtyping import Array, Float

from sr_jax.errors import InputError
from sr_jax.images import atomic
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.inference.onnx_program import pieces, sorting
from sr_jax.inference.onnx_program.graph import join, leave_out_unneeded
from sr_jax.inference.onnx_program.limits import limit_sides
from sr_jax.inference.onnx_program.sides import forget_sides, share_sides
from sr_jax.inference.programs import make_module
from sr_jax.layers.depthwise import whole_convolutions
from sr_jax.layers.windows import crop, pad_to_multiple
from sr_jax.models.protocols import Enlarger, Limited

ONNX, STABLEHLO = '.onnx', '.stablehlo'
PLATFORMS = ('cpu', 'cuda')  # that a StableHLO program is for
MAX_ERROR = 1e-4  # of an ONNX program, as a part of the largest value
ROUNDINGS = 10  # times what one of a network's input makes of its image: a program has many
MAX_ROUNDING = 0.05  # of what they make of it: an image that differs by more tells nothing

Size = tuple[int, int]  # height, width


def write_stablehlo(path: Path, network: LoadedNetwork, size: Size | None = None) -> None:
    """Writes a network as a StableHLO program for CPUs and NVIDIA GPUs.

    Args:
      path: of the file.
      network: that enlarges images.
      size: the sides of the images, of which there is one; None: any, and any number.

    Raises:
      InputError: it does not enlarge images, or is none for such sizes; or it cannot be written.
    """
    module = _make_module(network, 'xla')
    apply = functools.partial(_apply, module, network.variables)
    try:
        program = export.export(jax.jit(apply), platforms=PLATFORMS)(_describe(module, size))
    except Exception as error:  # of symbolic sizes, JAX raises many kinds
        raise _cannot(network, 'StableHLO', size, error) from error
    atomic.write(path, bytes(program.serialize()))


def read_stablehlo(path: str | Path) -> Callable[[Float[Array, 'n h w c']], Array]:
    """The function of images that a file of `write_stablehlo` holds.

    Raises:
      InputError: there is no such file, or it is damaged.
    """
    path = Path(path)
    try:
        program = export.deserialize(bytearray(path.read_bytes()))
    except OSError as error:
        raise InputError(f'{path}: {error.strerror or error}') from error
    except Exception as error:  # the reader raises nearly anything of a damaged file
        raise InputError(f'{path}: damaged, or no program of jax.export') from error
    return program.call


def write_onnx(path: Path, network: LoadedNetwork, size: Size | None = None) -> float:
    """Writes a network as an ONNX program, once it was found to compute the same.

    Args:
      path: of the file.
      network: that enlarges images.
      size: the sides of the images, of which there is one; None: any, and any number.

    Returns:
      How much an image differs from the network's, as a part of its largest value.

    Raises:
      InputError: the extra `onnx` is missing, the network does not enlarge images or uses what ONNX
        or its converter lacks, or it cannot be written.
    """
    try:
        import jax2onnx  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        raise InputError(
            f'{path}: ONNX is written by jax2onnx, which is not installed: '
            "pip install 'sr_jax[onnx]'"
        ) from error
    module = _make_module(network, 'reference')
    apply = functools.partial(_apply, module, network.variables)
    try:
        shapes = _describe(module, size)
        sorting.teach()
        with whole_convolutions():
            program = pieces.write(apply, shapes)
        join(program)
        share_sides(program)
        leave_out_unneeded(program)
        forget_sides(program)
        if size is None and isinstance(module, Limited):
            limit_sides(program, *module.open_sides)
        data = program.SerializeToString()
        images = _draw_images(module, size)
        difference = _compare(data, apply, images)
    except Exception as error:  # of what it lacks, the converter raises many kinds
        raise _cannot(network, 'ONNX', size, error) from error
    if not (difference < MAX_ERROR or difference < allow(measure_rounding(apply, images))):
        raise InputError(
            f'{network.source}: the ONNX program that jax2onnx makes of it gives another image (by '
            f'{difference:.1e} of its largest value), so that it is not written'
        )
    atomic.write(path, data)
    return difference


def _draw_images(module: Enlarger, size: Size | None) -> Float[np.ndarray, 'n h w c']:
    """Images to compare by, of odd sides at best."""
    side = module.input_size
    shape = (1, *size) if size else (2, *((side, side) if side else (21, 30)))
    return np.random.default_rng(0).random((*shape, module.example(1).shape[-1]), np.float32)


def _compare(
    data: bytes, apply: Callable[[Array], Array], images: Float[np.ndarray, 'n h w c']
) -> float:
    """How far an ONNX program's result is from a network's, as a part of its largest value."""
    import onnxruntime  # type: ignore[import-not-found]

    session = onnxruntime.InferenceSession(data, providers=['CPUExecutionProvider'])
    (found,) = session.run(None, {'input': images.transpose(0, 3, 1, 2)})
    expected = np.asarray(jax.jit(apply)(images)).transpose(0, 3, 1, 2)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def measure_rounding(
    apply: Callable[[Array], Array], images: Float[np.ndarray, 'n h w c']
) -> float:
    """How much of a network's largest value changes when its images are rounded otherwise.

    ATD gives each pixel to one of many categories: of random weights a rounding moves some.
    """
    upwards = np.random.default_rng(1).random(images.shape) < 1 / 2
    rounded = np.nextafter(images, np.where(upwards, 2, -1).astype(np.float32))
    image, other = (np.asarray(jax.jit(apply)(x)) for x in (images, rounded))
    return float(np.abs(other - image).max() / np.abs(image).max())


def allow(rounding: float) -> float:
    """How much a program may differ from a network whose own image differs so by a rounding."""
    return max(MAX_ERROR, min(ROUNDINGS * rounding, MAX_ROUNDING))


def _make_module(network: LoadedNetwork, implementation: str) -> Enlarger:
    """The module, its switched convolutions by that implementation of ours: none of a GPU's own."""
    switching = network.model.get('switching')
    if switching:
        model = network.model | {'switching': {**switching, 'implementation': implementation}}
        network = network._replace(model=model)
    return make_module(network, 'float32')


def _describe(module: Enlarger, size: Size | None) -> jax.ShapeDtypeStruct:
    """The images that a program takes."""
    channels, side = module.example(1).shape[-1], module.input_size
    sides = f'{side}, {side}' if side else 'h, w'
    limits = []
    if isinstance(module, Limited):
        least, most = module.open_sides
        limits = [limit for side in 'hw' for limit in (f'{side} >= {least}', f'{side} <= {most}')]
    shape = export.symbolic_shape(f'n, {sides}, {channels}', constraints=limits)
    return jax.ShapeDtypeStruct((1, *size, channels) if size else shape, jnp.float32)


def _apply(
    module: Any, variables: dict[str, Any], x: Float[Array, 'n h w c']
) -> Float[Array, 'n h2 w2 c2']:
    height, width = (module.scale * side for side in x.shape[1:3])
    x = pad_to_multiple(x, module.multiple, 'symmetric')
    return crop(module.apply(variables, x), height, width)


def _cannot(
    network: LoadedNetwork, kind: str, size: Size | None, error: Exception
) -> InputError:
    if isinstance(error, InputError):
        return error
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    remedy = '' if size else '; with a size (--size HEIGHTxWIDTH) it may'
    name = network.model['name']
    return InputError(f'{network.source}: {name} does not become {kind} ({reason}){remedy}')
