"""What is made of the ONNX program that jax2onnx wrote, to be as fast as it can be.

One node takes the place of several for convolutions with their biases and scales, activations,
sub-pixel convolutions' shuffles and enlargement by repeated pixels. The programs that run such
files know how to compute these fast, some of them in one go.
"""

from collections.abc import Callable
from typing import Any

from sr_jax.inference.onnx_program.attention_rules import (
    flatten_bias,
    make_softmax,
    multiply_matrices,
    normalize_layer,
    scale_after_moving,
    write_gelu,
)
from sr_jax.inference.onnx_program.parts import Parts, names
from sr_jax.inference.onnx_program.pooling_rules import pool_pixels
from sr_jax.inference.onnx_program.rules import (
    fold_in_convolution,
    move_numbers,
    rectify,
    repeat_both_ways,
    repeat_pixels,
    shuffle_pixels,
    state_shape,
)

# In this order: repetition both ways is of two others, and a bias is what no convolution and no
# norm adds.
RULES = (
    move_numbers,
    fold_in_convolution,
    rectify,
    shuffle_pixels,
    repeat_pixels,
    repeat_both_ways,
    pool_pixels,
    state_shape,
    multiply_matrices,
    normalize_layer,
    make_softmax,
    write_gelu,
    flatten_bias,
    scale_after_moving,
)


def join(model: Any) -> None:
    """Makes one node of what is one operation, and leaves out what nothing needs then.

    The rules compare shapes as far as a program states them: the caller compares what it computes.

    Args:
      model: an `onnx.ModelProto`, which is changed.
    """
    for rule in RULES:
        while _rewrite(model.graph, rule) and rule is fold_in_convolution:
            pass  # of what was folded more can be


def leave_out_unneeded(model: Any) -> None:
    """Leaves out what no output of a program needs.

    Args:
      model: an `onnx.ModelProto`, which is changed.
    """
    _rewrite(model.graph, lambda node, parts: None)


def _rewrite(graph: Any, rule: Callable[[Any, Parts], list[Any] | None]) -> bool:
    """Puts what a rule makes of a node in its place; returns whether it made anything of any."""
    from onnx import numpy_helper

    parts = Parts(graph)
    nodes, needed, found = [], set(parts.given), False
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            made = rule(node, parts)
            found |= made is not None
            for each in [node] if made is None else reversed(made):
                nodes.append(each)
                needed.update(names(each))
    added = [numpy_helper.from_array(x, name) for name, x in parts.added.items()]
    numbers = [each for each in graph.initializer if each.name not in parts.added] + added
    used = [tensor for tensor in numbers if tensor.name in needed]
    stated = [value for value in graph.value_info if value.name in needed]
    for field, kept in (
        (graph.node, nodes[::-1]),
        (graph.initializer, used),
        (graph.value_info, stated),
    ):
        del field[:]
        field.extend(kept)
    return found
