"""What the files of transformers for super-resolution have in common: names of layers, constants.

They descend from SwinIR's program, and keep its names. Beside their parameters they hold what the
original computes when it is made, such as the places of a window's pixels and the masks of shifted
windows. These are left out when a file is read, and made anew when one is written.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.layers.windows import Window, name_regions, permuted_regions, separate
from sr_jax.pretrained.layouts import Entry, Path, count, layer_entries, shape_of

State = Mapping[str, np.ndarray]
BODIES = ((1, ''), (3, '.4'))
COUNTER = 'num_batches_tracked'


def norm_entries(foreign: str, path: Path) -> Iterator[Entry]:
    """The entries of a layer norm, or of a group norm."""
    yield Entry(f'{foreign}.weight', ('params', *path, 'scale'), 'vector')
    yield Entry(f'{foreign}.bias', ('params', *path, 'bias'), 'vector')


def swin_entries(foreign: str, path: Path, use_bias: bool = True) -> Iterator[Entry]:
    """The entries of a `SwinBlock`."""
    attention = (*path, 'attention')
    table = f'{foreign}.attn.relative_position_bias_table'
    yield Entry(table, ('params', *attention, 'bias_table'), 'vector')
    yield from layer_entries(f'{foreign}.attn.qkv', (*attention, 'qkv'), 'linear', use_bias)
    yield from layer_entries(f'{foreign}.attn.proj', (*attention, 'proj'), 'linear')
    for i in (1, 2):
        yield from norm_entries(f'{foreign}.norm{i}', (*path, f'norm_{i}'))
        yield from layer_entries(f'{foreign}.mlp.fc{i}', (*path, 'mlp', f'fc{i}'), 'linear')


def convolved_entries(foreign: str, path: Path) -> Iterator[Entry]:
    """The entries of a `ConvolvedMLP`."""
    for name in ('fc1', 'fc2'):
        yield from layer_entries(f'{foreign}.{name}', (*path, name), 'linear')
    yield from layer_entries(f'{foreign}.dwconv.depthwise_conv.0', (*path, 'conv'), 'conv')


def batch_norm_entries(foreign: str, path: Path) -> Iterator[Entry]:
    """The entries of a batch norm, but for the counter, which nothing depends on."""
    yield from norm_entries(foreign, path)
    for theirs, ours in (('running_mean', 'mean'), ('running_var', 'var')):
        yield Entry(f'{foreign}.{theirs}', ('batch_stats', *path, ours), 'vector')


def without_counters(state: State) -> dict[str, np.ndarray]:
    """The state without the counters of its batch norms."""
    return {name: value for name, value in state.items() if not name.endswith(COUNTER)}


def with_counters(state: State) -> dict[str, np.ndarray]:
    """The state with a counter of zero for each batch norm."""
    norms = [name for name in state if name.endswith('running_mean')]
    counters = {name.replace('running_mean', COUNTER): np.zeros((), np.int64) for name in norms}
    return {**state, **counters}


def body_entries(foreign: str, path: Path, depth: int) -> Iterator[Entry]:
    """The entries of a `BodyConvolution`: one layer, or the first, third and fifth of five."""
    for i in range(depth):
        theirs = foreign if depth == 1 else f'{foreign}.{2 * i}'
        yield from layer_entries(theirs, (*path, f'conv_{i}'), 'conv')


def count_body(state: State) -> int:
    """How many convolutions a `BodyConvolution` has in a file: 1 or 3; 0 where there is none."""
    return next((n for n, name in BODIES if f'conv_after_body{name}.weight' in state), 0)


def head_entries(form: str, num_ups: int, path: Path = ('reconstruction',)) -> Iterator[Entry]:
    """The entries of a `Reconstruction`."""
    if form == 'direct':
        yield from layer_entries('upsample.0', (*path, 'sub_pixel'), 'conv')
        return
    if form != 'residual':
        yield from layer_entries('conv_before_upsample.0', (*path, 'conv_before'), 'conv')
    for i in range(num_ups):
        theirs = f'conv_up{i + 1}' if form == 'nearest' else f'upsample.{2 * i}'
        yield from layer_entries(theirs, (*path, f'up_{i}'), 'conv')
    if form == 'nearest':
        yield from layer_entries('conv_hr', (*path, 'conv_hr'), 'conv')
    yield from layer_entries('conv_last', (*path, 'conv_last'), 'conv')


def head_of(params: Mapping[str, Any]) -> tuple[str, int]:
    """The form of a `Reconstruction`, told by its parameters, and how often it enlarges."""
    num_ups = count(params, 'up_{}')
    if 'conv_hr' in params:
        return 'nearest', num_ups
    if 'conv_before' in params:
        return 'pixel_shuffle', num_ups
    return ('direct' if 'sub_pixel' in params else 'residual'), 0


def count_ups(state: State, head: str) -> int:
    """How often a head of that form enlarges, told by a file."""
    pattern = {'nearest': r'conv_up\d+\.weight', 'pixel_shuffle': r'upsample\.\d+\.weight'}
    return sum(head in pattern and re.fullmatch(pattern[head], name) is not None for name in state)


def read_head(state: State, channels: int, network: str) -> dict[str, Any]:
    """The fields `scale` and `head` of a file, and `head_features` where the head has some.

    Args:
      state: the arrays.
      channels: of images.
      network: what messages call it.
    """
    if 'conv_before_upsample.0.weight' in state:
        features = shape_of(state, 'conv_before_upsample.0.weight', network)[0]
        if 'conv_up1.weight' in state:
            scale = 2 ** count_ups(state, 'nearest')
            return {'scale': scale, 'head': 'nearest', 'head_features': features}
        scale, i = 1, 0
        while f'upsample.{i}.weight' in state:
            scale *= math.isqrt(shape_of(state, f'upsample.{i}.weight', network)[0] // features)
            i += 2
        return {'scale': scale, 'head': 'pixel_shuffle', 'head_features': features}
    if 'upsample.0.weight' in state:
        scale = math.isqrt(shape_of(state, 'upsample.0.weight', network)[0] // channels)
        return {'scale': scale, 'head': 'direct'}
    return {'scale': 1, 'head': 'residual'}


def same_of_all(values: Iterable[Any], what: str, network: str) -> Any:
    """The value that is the same in all groups of a network.

    Raises:
      InputError: it is not.
    """
    found = set(values)
    if len(found) != 1:
        raise InputError(
            f'these are weights of {network} whose groups differ in their {what} '
            f'({", ".join(map(str, sorted(found)))}): only equal groups are known here'
        )
    return found.pop()


def count_groups(state: State, block: str, network: str) -> tuple[int, int]:
    """How many groups there are, and how many blocks in each.

    Args:
      state: the arrays.
      block: the name of an array of a block, of the group's and the block's number.
      network: what messages call it.

    Raises:
      InputError: there are none, or the groups differ.
    """
    first = block.format('{}', 0)
    num_groups = count(state, first)
    shape_of(state, first.format(0), network)
    numbers = [count(state, block.format(i, '{}')) for i in range(num_groups)]
    return num_groups, same_of_all(numbers, 'numbers of blocks', network)


def grouped_entries(
    norm_first: str,
    num_groups: int,
    depth: int,
    head: tuple[str, int],
    blocks: Callable[[int], Iterator[Entry]],
) -> Iterator[Entry]:
    """The entries of a network of residual groups, from its first convolution to its head.

    Args:
      norm_first: the file's name of the norm before the groups.
      num_groups: how many groups there are.
      depth: of the convolution after each group, and after all (`body_entries`).
      head: the form of the head, and how often it enlarges (`head_entries`).
      blocks: gives the entries of a group's blocks, by the group's number.
    """
    yield from layer_entries('conv_first', ('conv_first',), 'conv')
    yield from norm_entries(norm_first, ('norm_first',))
    yield from norm_entries('norm', ('norm_last',))
    yield from body_entries('conv_after_body', ('conv_body',), depth)
    for i in range(num_groups):
        yield from body_entries(f'layers.{i}.conv', (f'group_{i}_conv',), depth)
        yield from blocks(i)
    yield from head_entries(*head)


def position_constant(positions: np.ndarray) -> np.ndarray:
    """The places of a window's pixels as files hold them."""
    return positions.astype(np.int64)


def mask_constant(size: tuple[int, int], window: Window, shift: Window) -> np.ndarray:
    """The mask of shifted windows as files hold it."""
    names = name_regions(size, window, shift)
    return np.asarray(separate(names, names), np.float32)


def permuted_mask_constant(side: int, window: int) -> np.ndarray:
    """The mask of SRFormer's windows as files hold it, of square images."""
    return np.asarray(separate(*permuted_regions((side, side), window, window // 2)), np.float32)


def mask_side(state: State, name: str, window: int, default: int) -> int:
    """The side of the images that a mask in a file is for; the default where there is none."""
    if name not in state:
        return default
    return math.isqrt(state[name].shape[0]) * window
