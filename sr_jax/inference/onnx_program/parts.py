"""What a graph of ONNX has, by name."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np


class Parts:
    """What a graph has, by name: numbers, shapes, makers of values, and how often each is used."""

    def __init__(self, graph: Any):
        from onnx import numpy_helper

        self.given = [value.name for value in graph.output]
        self.numbers = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        self.added: dict[str, np.ndarray] = {}
        self.makers = {name: node for node in graph.node for name in node.output}
        self.uses = Counter(
            [*self.given, *(name for node in graph.node for name in names(node))]
        )
        self.shapes = {
            value.name: [
                side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim
            ]
            for value in [*graph.input, *graph.value_info, *graph.output]
        }

    def maker(self, name: str, kind: str, once: bool = True) -> Any:
        """The node of that kind that makes a value, or None; `once`: that nothing else needs."""
        node = self.makers.get(name)
        found = node is not None and node.op_type == kind and (self.uses[name] == 1 or not once)
        return node if found else None

    def add(self, name: str, numbers: Any) -> str:
        """Adds a constant to the graph; returns its name."""
        self.added[name] = np.asarray(numbers)
        return name

    def shape(self, name: str) -> list[Any]:
        """The sides of a value, numbers or names; [] where the program does not state them."""
        return self.shapes.get(name, [])


def names(node: Any) -> Iterator[str]:
    """All values that a node reads, also in the graphs of a loop's body."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (value.name for value in graph.output)
            for inner in graph.node:
                yield from names(inner)
