"""The names of attention within rectangles in the files of DAT and RGT, and what goes with it."""

import math
from collections.abc import Iterator

import numpy as np

from sr_jax.layers.windows import Window, relative_offsets, relative_positions
from sr_jax.pretrained.layouts import Entry, Path, layer_entries, shape_of
from sr_jax.pretrained.transformers import State, mask_constant, norm_entries, position_constant

TRAINED_SIZE = 64  # where no mask tells it


def gated_entries(foreign: str, path: Path) -> Iterator[Entry]:
    """The entries of a `GatedMLP`."""
    for name in ('fc1', 'fc2'):
        yield from layer_entries(f'{foreign}.{name}', (*path, name), 'linear')
    yield from norm_entries(f'{foreign}.sg.norm', (*path, 'norm'))
    yield from layer_entries(f'{foreign}.sg.conv', (*path, 'conv'), 'conv')


def rectangle_entries(foreign: str, path: Path) -> Iterator[Entry]:
    """The entries of a `RectangleAttention`: of the two networks of biases."""
    for k in (0, 1):
        name, inside = f'{foreign}.attns.{k}.pos', (*path, f'positions_{k}')
        yield from layer_entries(f'{name}.pos_proj', (*inside, 'places'), 'linear')
        for i in range(3):
            yield from norm_entries(f'{name}.pos{i + 1}.0', (*inside, f'norm_{i}'))
            yield from layer_entries(f'{name}.pos{i + 1}.2', (*inside, f'linear_{i}'), 'linear')


def read_rectangle(state: State, foreign: str, network: str) -> Window:
    """The height and the width of the first rectangles, told by the places of their pixels."""
    places = f'{foreign}.attns.0.rpe_biases'
    shape_of(state, places, network)
    height, width = (int(side) + 1 for side in np.max(state[places], axis=0))
    return height, width


def rectangle_side(state: State, block: str, pixels: int) -> int:
    """The side of the images that masks are for: so many rectangles of so many pixels.

    Args:
      state: the arrays.
      block: the name of a block, of its group's number and its own.
      pixels: of a rectangle.
    """
    for name in (block.format(0, 2), block.format(1, 0)):
        if f'{name}.attn.attn_mask_0' in state:
            return math.isqrt(state[f'{name}.attn.attn_mask_0'].shape[0] * pixels)
    return TRAINED_SIZE


def rectangle_constants(
    foreign: str, split: Window, shifted: bool, side: int
) -> dict[str, np.ndarray]:
    """The places in an attention's rectangles, and the masks of shifted ones in square images."""
    made = {}
    for k, window in enumerate((split, split[::-1])):
        made[f'{foreign}.attns.{k}.rpe_biases'] = relative_offsets(window)
        positions = position_constant(relative_positions(window))
        made[f'{foreign}.attns.{k}.relative_position_index'] = positions
        if shifted:
            shift = window[0] // 2, window[1] // 2
            made[f'{foreign}.attn_mask_{k}'] = mask_constant((side, side), window, shift)
    return made
