"""Writes a network as ncnn's pair of files: its layers as a text, `.param`, and weights, `.bin`.

ncnn wants every blob to be taken once: what several layers take is split before. Weights are
float32. The image is the blob 'data', RGB in [0, 1], and what is made of it 'output', not clipped,
as in the files of Real-ESRGAN.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.images import atomic
from sr_jax.pretrained.ncnn_graph import CONVOLUTION, MAGIC, PRELU, Layer, Numbers

FLOAT32 = bytes(4)  # the flag before weights of 32 bits
SCALE = 'Scale'  # a product and a sum for each channel
FIRST, LAST = 'data', 'output'


def write(path: Path, layers: Sequence[Layer], state: Mapping[str, np.ndarray]) -> None:
    """Writes both files.

    Args:
      path: of the text; the weights are beside it.
      layers: of the network.
      state: its arrays by the names of the layers.

    Raises:
      InputError: another suffix, or they cannot be written.
    """
    if path.suffix != '.param':
        raise InputError(f"{path}: ncnn's text of layers ends in .param")
    lines, weights = _describe(layers, state)
    count = sum(int(line.split()[3]) for line in lines)  # of blobs that are made
    text = '\n'.join([MAGIC, f'{len(lines)} {count}', *lines]) + '\n'
    atomic.write(path.with_suffix('.bin'), weights)
    atomic.write(path, text.encode('ascii'))


def _describe(layers: Sequence[Layer], state: Mapping[str, np.ndarray]) -> tuple[list[str], bytes]:
    """The lines of the layers, and their weights one after the other."""
    uses = Counter(number for layer in layers for number in layer.inputs)
    taken, weights = Counter[int](), bytearray()
    lines = [f'Input {FIRST} 0 1 {FIRST}', *_split(FIRST, uses[0])]
    for number, layer in enumerate(layers, 1):
        inputs = []
        for source in layer.inputs:
            name = _blob(source, layers)
            inputs.append(f'{name}_{taken[source]}' if uses[source] > 1 else name)
            taken[source] += 1
        made = _blob(number, layers)
        numbers, data = _take_weights(layer, state)
        weights += data
        words = [layer.kind, f'layer_{number}', len(inputs), 1, *inputs, made]
        lines.append(' '.join(map(str, [*words, *map(_format, numbers, numbers.values())])))
        lines += _split(made, uses[number])
    return lines, bytes(weights)


def _blob(number: int, layers: Sequence[Layer]) -> str:
    """What a layer makes, by name."""
    return {0: FIRST, len(layers): LAST}.get(number, f'blob_{number}')


def _split(blob: str, uses: int) -> list[str]:
    if uses < 2:
        return []
    parts = ' '.join(f'{blob}_{i}' for i in range(uses))
    return [f'Split split_{blob} 1 {uses} {blob} {parts}']


def _take_weights(layer: Layer, state: Mapping[str, Any]) -> tuple[Numbers, bytes]:
    """The numbers of a layer with those of its weights, and these as bytes."""

    def take(part: str) -> bytes:
        return np.ascontiguousarray(state[f'{layer.name}.{part}'], '<f4').tobytes()

    if layer.kind not in (CONVOLUTION, PRELU, SCALE):
        return layer.numbers, b''
    weight = np.asarray(state[f'{layer.name}.weight'])
    numbers: Numbers = {0: len(weight), **layer.numbers}
    bias = take('bias') if layer.numbers.get(1 if layer.kind == SCALE else 5) else b''
    if layer.kind != CONVOLUTION:
        return numbers, take('weight') + bias
    return {**numbers, 6: weight.size}, FLOAT32 + take('weight') + bias


def _format(key: int, value: Any) -> str:
    """'1=3' of (1, 3), and '-23310=1,0.2' of (10, (0.2,))."""
    if isinstance(value, tuple):
        return ','.join([f'{-23300 - key}={len(value)}', *(f'{item:e}' for item in value)])
    return f'{key}={value:e}' if isinstance(value, float) else f'{key}={value}'
