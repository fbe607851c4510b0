"""What networks for super-resolution would take on a GPU, on paper: nothing is run.

  python benchmarks/upscaling_on_paper.py
  python benchmarks/upscaling_on_paper.py --sizes 640x360 --dtype float32

Each convolution takes the longest of its products at the tensor cores' peak, its bytes from and to
memory, and a launch (`sr_jax.kernels.gpu.roofline`); what comes between is taken to be fused with
it. The network alone, without copies to the device, files and starting.
"""

import argparse
import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from sr_jax.kernels.gpu.roofline import CHIPS, Work, min_seconds

from sr_jax.models.rrdb import RRDBNet
from sr_jax.models.srvgg import SRVGGNetCompact

NETWORKS = {
    'realesr-animevideov3': SRVGGNetCompact(num_convs=16),
    'realesr-general-x4v3': SRVGGNetCompact(num_convs=32),
    'realesrgan-x4plus': RRDBNet(),
}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--sizes', nargs='+', default=['140x100', '320x240', '640x480', '1280x720'])
    parser.add_argument('--dtype', default='bfloat16')
    return parser.parse_args()


def find_convolutions(jaxpr: Any) -> Iterator[Any]:
    """Yields the convolutions of a program, also those of programs in it."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == 'conv_general_dilated':
            yield equation
        for value in equation.params.values():
            if hasattr(inner := getattr(value, 'jaxpr', value), 'eqns'):
                yield from find_convolutions(inner)


def measure(equation: Any) -> Work:
    """What a convolution does."""
    x, kernel = (variable.aval for variable in equation.invars)
    made = equation.outvars[0].aval
    moved = sum(each.size * each.dtype.itemsize for each in (x, kernel, made))
    products = made.size * math.prod(kernel.shape[:3])
    return Work(operations=2.0 * products, memory=float(moved))


def main() -> None:
    """Prints a line for each network and size."""
    arguments = parse_arguments()
    print('| network | size | TFLOP | ' + ' | '.join(chip.gpu.name for chip in CHIPS) + ' |')
    for name, module in NETWORKS.items():
        module = module.clone(dtype=arguments.dtype)
        for size in arguments.sizes:
            width, height = map(int, size.split('x'))
            image = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
            variables = jax.eval_shape(module.init, jax.random.key(0), image)
            program = jax.make_jaxpr(module.apply)(variables, image)
            works = [measure(found) for found in find_convolutions(program.jaxpr)]
            total = sum(work.operations for work in works)
            cells = []
            for chip in CHIPS:
                seconds = sum(min_seconds(work, chip, arguments.dtype) for work in works)
                peak = chip.tf32 if arguments.dtype == 'float32' else chip.half
                share = total / peak / seconds
                cells.append(f'{1e3 * seconds:.2f} ms, {1 / seconds:.0f} a second, {share:.0%}')
            print('| ' + ' | '.join([name, size, f'{total / 1e12:.3f}', *cells]) + ' |', flush=True)


if __name__ == '__main__':
    main()
