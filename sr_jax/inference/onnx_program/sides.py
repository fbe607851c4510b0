"""Open sides of what lies between a program's input and output: one of each, stated of none."""

from typing import Any

from sr_jax.inference.onnx_program.parts import Parts


def share_sides(model: Any) -> None:
    """Takes a side whose length was looked up before from there.

    jax2onnx looks lengths up in whatever has them, over and over, which takes about as long as the
    arithmetic of small images. Sides of the same name have the same length.

    Args:
      model: an `onnx.ModelProto`, which is changed.
    """
    parts = Parts(model.graph)
    known: dict[Any, str] = {}
    same: dict[str, str] = {}
    for node in model.graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
        side = _find_side(node, parts)
        if side is not None and node.output[0] not in parts.given:
            first = known.setdefault(side, node.output[0])
            if first != node.output[0]:
                same[node.output[0]] = first


def _find_side(node: Any, parts: Parts) -> tuple[str, tuple[int, ...]] | None:
    """The name of the side that a node looks up, and the shape in which it gives the length."""
    shape = parts.maker(node.input[0], 'Shape', once=False) if node.op_type == 'Gather' else None
    if shape is None:
        return None
    place = parts.numbers.get(node.input[1])
    if place is None or place.size != 1:
        return None
    sides = parts.shape(shape.input[0])
    limits = {attribute.name: attribute.i for attribute in shape.attribute}
    looked_up = sides[limits.get('start', 0) : limits.get('end', len(sides))]
    index = int(place.item())
    side = looked_up[index] if -len(looked_up) <= index < len(looked_up) else None
    if not isinstance(side, str) or 'dynamic' in side:
        return None
    return side, place.shape


def forget_sides(model: Any) -> None:
    """Leaves out the stated shapes of what lies between a program's input and output, if open.

    onnxruntime 1.32 finds them itself. By those that are stated it chooses which memory is used
    again: what was used last is in the cache, but it took another (SwinIR: 5% of its time).

    Args:
      model: an `onnx.ModelProto`, which is changed.
    """
    stated = [
        value
        for value in model.graph.value_info
        if not any(side.dim_param for side in value.type.tensor_type.shape.dim)
    ]
    del model.graph.value_info[:]
    model.graph.value_info.extend(stated)
