"""Lists of ncnn's layers, as networks say what they would be in its files."""

from collections.abc import Sequence

from sr_jax.pretrained.ncnn_graph import CONVOLUTION, PRODUCT, SUM, Layer, Numbers

PLAIN: Numbers = {1: 3, 4: 1, 5: 1}  # a 3 x 3 convolution with a border of one pixel and a bias
SINGLE: Numbers = {1: 1, 5: 1}  # of one tap
RESIDUAL: Numbers = {0: 1, 1: (0.2, 1.0)}  # 0.2 a + b
NEAREST, BILINEAR = 1, 2  # what an Interp does, its number 0


def leaky(slope: float) -> Numbers:
    """The numbers of a 3 x 3 convolution with a leaky ReLU."""
    return {**PLAIN, 9: 2, 10: (slope,)}


RELU: Numbers = {**PLAIN, 9: 1}


class Layers:
    """Layers in the order of their numbers, from 1; layer 0 is the image."""

    def __init__(self) -> None:
        self.made: list[Layer] = []

    def add(self, kind: str, *inputs: int, numbers: Numbers | None = None, name: str = '') -> int:
        """Adds a layer, and returns its number; `name` is the original's, of its weights."""
        self.made.append(Layer(kind, inputs, numbers or {}, name))
        return len(self.made)

    def conv(self, source: int, name: str, numbers: Numbers = PLAIN) -> int:
        """Adds a convolution."""
        return self.add(CONVOLUTION, source, numbers=numbers, name=name)

    def concat(self, inputs: Sequence[int]) -> int:
        """Adds the channels of several layers, one after the other."""
        return self.add('Concat', *inputs)

    def sum(self, first: int, second: int) -> int:
        """Adds a + b."""
        return self.add('BinaryOp', first, second, numbers={0: SUM})

    def product(self, first: int, second: int) -> int:
        """Adds a b."""
        return self.add('BinaryOp', first, second, numbers={0: PRODUCT})

    def enlarge(self, source: int, how: int, factor: int) -> int:
        """Adds an interpolation, NEAREST or BILINEAR."""
        return self.add('Interp', source, numbers={0: how, 1: float(factor), 2: float(factor)})
