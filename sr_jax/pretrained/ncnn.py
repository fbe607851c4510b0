"""RRDBNet and SRVGGNetCompact from ncnn's pair of files, as the original's state dictionaries.

ncnn (Tencent) keeps a network as a text of layers, `.param`, and their weights one after the other,
`.bin`. Only graphs that compute exactly what `sr_jax.models.rrdb` (scale 4) and
`sr_jax.models.srvgg` compute are read: kinds, numbers and wiring of all layers are compared, in the
form that `sr_jax.pretrained.ncnn_graph` gives them, so that a network that merely resembles one is
refused instead of being run wrongly.
"""

from pathlib import Path

import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained import rrdb, srvgg
from sr_jax.pretrained.ncnn_graph import CONVOLUTION, DEFAULTS, PRELU, TWINS, Layer, parse

HALF_PRECISION = 0x01306B47  # the flag before weights of 16 bits; 0 stands before those of 32


def read_state(param: Path, weights: Path) -> dict[str, np.ndarray]:
    """The state dictionary, by the names of Real-ESRGAN, of a network in ncnn's files.

    Args:
      param: the text.
      weights: the `.bin` beside it; float32 or float16, not quantized.

    Raises:
      InputError: a file is damaged, or the network is another one; names the first layer that is.
    """
    layers = parse(param)
    kinds = [layer.kind for layer in layers]
    convolutions = kinds.count(CONVOLUTION)
    if PRELU in kinds:
        shuffles = [layer.numbers.get(0, 1) for layer in layers if layer.kind == 'PixelShuffle']
        expected = srvgg.layers(kinds.count(PRELU), shuffles[0] if shuffles else 1)
        network = 'an SRVGGNetCompact'
    else:
        expected = rrdb.layers(max(convolutions - 6, 0) // 15)
        network = 'an RRDBNet of scale 4'
    for number, (layer, wanted) in enumerate(zip(layers, expected, strict=False), 1):
        if problem := _difference(layer, wanted):
            raise InputError(f'{param}: this is not {network}: layer {number} {problem[:300]}')
    if len(layers) < len(expected):
        raise InputError(f'{param}: this is not {network}: it ends after layer {len(layers)}')
    if len(layers) > len(expected):
        kind = layers[len(expected)].kind
        hint = ': take the one that does not resize its result (realesr-animevideov3-x4, not -x2)'
        raise InputError(
            f'{param}: this is not {network} alone: it goes on with layer {len(expected) + 1}, '
            f'{kind[:100]}{hint if kind == "Interp" else ""}'
        )
    return _read_weights(weights, layers, [layer.name for layer in expected])


def _difference(layer: Layer, wanted: Layer) -> str:
    """What a layer has otherwise than is wanted, or ''."""
    if layer.kind != wanted.kind:
        return f'is {layer.kind}, not {wanted.kind}'
    if layer.inputs != wanted.inputs:
        return f'({layer.kind}) takes layers {layer.inputs}, not {wanted.inputs}'
    numbers = {**DEFAULTS[layer.kind], **layer.numbers}
    if twins := numbers.keys() & TWINS.keys() if layer.kind == CONVOLUTION else None:
        return f'({layer.kind}) is not the same along both axes: its number {min(twins)}'
    if unknown := numbers.keys() - DEFAULTS[layer.kind].keys():
        return f'({layer.kind}) has a number {min(unknown)}, which is not known here'
    for key, value in {**DEFAULTS[layer.kind], **wanted.numbers}.items():
        channels = key == 0 and layer.kind in (CONVOLUTION, PRELU)
        if not channels and not _is_close(numbers[key], value):
            return f'({layer.kind}) has {numbers[key]}, not {value}, as its number {key}'
    return ''


def _is_close(found: float | tuple[float, ...], wanted: float | tuple[float, ...]) -> bool:
    """Whether a number of a layer, or its list of numbers, is what is wanted but for rounding."""
    if found == wanted:  # nearly always: NumPy's comparison takes a hundred times as long
        return True
    return np.shape(found) == np.shape(wanted) and np.allclose(found, wanted)


def _read_weights(path: Path, layers: list[Layer], names: list[str]) -> dict[str, np.ndarray]:
    """The arrays of the layers, which lie one after the other."""
    reader, state = _Reader(path), {}
    for layer, name in zip(layers, names, strict=True):
        size = layer.size
        features = int(layer.numbers.get(0, 0))
        if layer.kind == CONVOLUTION:
            if not features or size % (9 * features):
                raise InputError(f'{path}: {name} cannot have {size} weights')
            state[f'{name}.weight'] = reader.take_flagged(size).reshape(features, -1, 3, 3)
            state[f'{name}.bias'] = reader.take(features, '<f4')
        elif layer.kind == PRELU:
            state[f'{name}.weight'] = reader.take(features, '<f4')
    reader.check_end()
    return state


class _Reader:
    """Takes arrays from a file one after the other, each beginning at a multiple of 4 bytes."""

    def __init__(self, path: Path):
        self._path, self._at = path, 0
        try:
            self._data = path.read_bytes()
        except OSError as error:
            raise InputError(f'{path}: {error.strerror or error}') from error

    def take(self, count: int, dtype: str) -> np.ndarray:
        size = count * np.dtype(dtype).itemsize
        if self._at + size > len(self._data):
            raise InputError(f'{self._path}: damaged: it ends before the weights of its network do')
        found = np.frombuffer(self._data, dtype, count, self._at)
        self._at += -(-size // 4) * 4
        return found.astype(np.float32)

    def take_flagged(self, count: int) -> np.ndarray:
        """An array behind a flag that tells its type."""
        flag = int.from_bytes(self._data[self._at : self._at + 4], 'little')
        self.take(4, 'u1')
        if flag not in (0, HALF_PRECISION):
            raise InputError(f'{self._path}: quantized weights (kind {flag:#x}) are not read here')
        return self.take(count, '<f2' if flag else '<f4')

    def check_end(self) -> None:
        if self._at < len(self._data):
            raise InputError(f'{self._path}: damaged: {len(self._data) - self._at} bytes left over')
