"""The graph of a network in ncnn's text of layers, the same whichever converter wrote it.

Converters write one thing in several ways: pnnx says the height of a kernel besides its width, an
activation may be a layer of its own or a number of the convolution before it, 0.2 a + b one layer
or a multiplication and a sum, and the terms of a sum stand in any order. Here each has one form,
and a result is not clipped to [0, 1] at the end, which is done in any case.
"""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from sr_jax.errors import InputError

Numbers = dict[int, Any]  # floats, and tuples of them

MAGIC = '7767517'
CONVOLUTION, PRELU = 'Convolution', 'PReLU'
MOST = 2**31 - 1  # weights of a layer, and features

# Numbers of a layer that change what it computes, with ncnn's defaults.
DEFAULTS: dict[str, Numbers] = {
    CONVOLUTION: {0: 0, 1: 0, 2: 1, 3: 1, 4: 0, 5: 0, 8: 0, 9: 0, 10: (), 18: 0.0, 19: 0},
    'Concat': {0: 0},
    'Eltwise': {0: 0, 1: ()},
    'BinaryOp': {0: 0, 1: 0, 2: 0.0},
    'Interp': {0: 0, 1: 1.0, 2: 1.0, 3: 0, 4: 0, 5: 0, 6: 0},
    'PixelShuffle': {0: 1, 1: 0},
    PRELU: {0: 0},
}
# Numbers of a convolution down, right and below, which are those across, left and above if unsaid.
TWINS = {11: 1, 12: 2, 13: 3, 14: 4, 15: 4, 16: 4}
SUM, PRODUCT = 0, 2  # what a BinaryOp does, its number 0
LEAKY_RELU, CLIP = 2, 3  # activations, the number 9 of a convolution


class Layer(NamedTuple):
    """A layer: its kind, the layers that it takes (0 is the image), its numbers, its name.

    The name is the original's, for layers that have weights; `size` is the number of these that a
    convolution says.
    """

    kind: str
    inputs: tuple[int, ...]
    numbers: Numbers
    name: str = ''
    size: int = 0

    def number(self, key: int) -> Any:
        """One of its numbers, or the default."""
        return self.numbers.get(key, DEFAULTS[self.kind][key])


def parse(param: Path) -> list[Layer]:
    """The layers of a text, without the copies that ncnn lists.

    Raises:
      InputError: it is damaged.
    """
    try:
        lines = param.read_text(encoding='ascii').splitlines()
        if not lines or lines[0].strip() != MAGIC:
            raise InputError(f"{param}: not the text of an ncnn network (it begins with '{MAGIC}')")
        count = int(lines[1].split()[0])
        rows = [line.split() for line in lines[2:] if line.strip()]
        if len(rows) != count:
            raise InputError(f'{param}: damaged: {len(rows)} of {count} layers are there')
        return _read_rows(rows)
    except (ValueError, IndexError, KeyError, TypeError) as error:
        reason = f'{type(error).__name__}: {error}'[:200]
        raise InputError(f'{param}: damaged ({reason})') from error
    except OSError as error:
        raise InputError(f'{param}: {error.strerror or error}') from error


def _read_rows(rows: list[list[str]]) -> list[Layer]:
    graph, made_by, copied = _Graph(), dict[str, int](), dict[str, str]()
    parsed = [_Row.parse(words) for words in rows]
    for row in parsed:
        if row.kind == 'Split':
            copied.update({blob: copied.get(row.given[0], row.given[0]) for blob in row.made})
    uses = Counter(copied.get(b, b) for row in parsed if row.kind != 'Split' for b in row.given)
    for row in parsed:
        inputs = tuple(made_by[blob] for blob in row.given)
        if row.kind == 'Input':
            source = 0
        elif row.kind == 'Split':
            source = inputs[0]
        else:
            once = {made_by[blob] for blob in row.given if uses[copied.get(blob, blob)] == 1}
            numbers = dict(map(_number, row.numbers))
            source = graph.add(row.kind, inputs, numbers, once, last=row is parsed[-1])
        made_by.update(dict.fromkeys(row.made, source))
    return graph.layers


class _Row(NamedTuple):
    """A line of the text: the blobs that a layer is given, and those that it makes."""

    kind: str
    given: list[str]
    made: list[str]
    numbers: list[str]

    @classmethod
    def parse(cls, words: list[str]) -> '_Row':
        kind, _, num_given, num_made, *rest = words
        first, end = int(num_given), int(num_given) + int(num_made)
        return cls(kind, rest[:first], rest[first:end], rest[end:])


class _Graph:
    """Layers in the order of their numbers, from 1; layer 0 is the image."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []

    def add(
        self, kind: str, inputs: tuple[int, ...], numbers: Numbers, once: set[int], last: bool
    ) -> int:
        """Adds a layer, in its one form; returns the number of the layer that its result is of.

        Args:
          kind: of the layer.
          inputs: the layers that it takes.
          numbers: its own.
          once: those of them that nothing else takes.
          last: whether nothing follows.
        """
        if last and kind == 'Clip' and (numbers.get(0), numbers.get(1)) == (0, 1):
            return inputs[0]
        if last and numbers.get(9) == CLIP and numbers.get(10) == (0, 1):
            numbers = {key: value for key, value in numbers.items() if key not in (9, 10)}
        if kind == 'ReLU' and once and self._activate(inputs[0], numbers.get(0, 0.0)):
            return inputs[0]
        if kind == 'BinaryOp' and numbers.get(0, SUM) == SUM and len(inputs) == 2:
            inputs = tuple(sorted(inputs))
            if inputs[1] in once and self._is_multiple(inputs[1]):
                product = self.layers.pop()
                inputs = (product.inputs[0], inputs[0])
                kind, numbers = 'Eltwise', {0: 1, 1: (product.number(2), 1.0)}
        if kind == 'Eltwise' and numbers.get(1, ())[:1] == (1.0,) and len(inputs) == 2:
            numbers, inputs = {**numbers, 1: numbers[1][::-1]}, inputs[::-1]
        self.layers.append(_make_layer(kind, inputs, numbers))
        return len(self.layers)

    def _activate(self, number: int, slope: float) -> bool:
        """Makes a leaky ReLU part of the convolution that it follows, if it follows one."""
        layer = self.layers[number - 1] if number else None
        if layer is None or layer.kind != CONVOLUTION or layer.number(9) or not slope:
            return False
        numbers = {**layer.numbers, 9: LEAKY_RELU, 10: (slope,)}
        self.layers[number - 1] = layer._replace(numbers=numbers)
        return True

    def _is_multiple(self, number: int) -> bool:
        """Whether the last layer has this number and multiplies by one."""
        layer = self.layers[-1] if number == len(self.layers) > 0 else None
        if layer is None or layer.kind != 'BinaryOp':
            return False
        return (layer.number(0), layer.number(1)) == (PRODUCT, 1)


def _make_layer(kind: str, inputs: tuple[int, ...], numbers: Numbers) -> Layer:
    size = 0
    if kind == CONVOLUTION:
        size = _count(numbers.pop(6, 0))
        defaults = DEFAULTS[kind]
        for key, twin in TWINS.items():
            if numbers.get(key) == numbers.get(twin, defaults[twin]):
                del numbers[key]
    if kind in (CONVOLUTION, PRELU):
        numbers[0] = _count(numbers.get(0, 0))
    return Layer(kind, inputs, numbers, size=size)


def _number(text: str) -> tuple[int, float | tuple[float, ...]]:
    """'1=3' as (1, 3.0), and '-23310=1,0.2', an array of one value, as (10, (0.2,))."""
    key, value = text.split('=')
    if int(key) > -23300:
        return int(key), float(value)
    return -23300 - int(key), tuple(map(float, value.split(',')[1:]))


def _count(number: float | tuple[float, ...]) -> int:
    """A number of a layer that counts things; ValueError if it cannot."""
    if isinstance(number, tuple) or not 0 <= number <= MOST or number % 1:
        raise ValueError(f'{number} is no count')
    return int(number)
