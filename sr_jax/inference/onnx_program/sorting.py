"""Sorting along sides that are open, which jax2onnx 0.17.1 refuses."""

from collections.abc import Sequence
from typing import Any

import jax
from jax import lax
from jax.extend.core import Primitive
from jaxtyping import Array

NAME = 'sort_along_open_side'

# As `lax.sort` by the first array.
sort_p = Primitive(NAME)
sort_p.multiple_results = True


@sort_p.def_impl
def _sort(*arrays: Array, axis: int) -> Sequence[Array]:
    return lax.sort(arrays, dimension=axis, num_keys=1)


@sort_p.def_abstract_eval
def _describe(*arrays: Any, axis: int) -> Sequence[Any]:
    return [jax.core.ShapedArray(x.shape, x.dtype) for x in arrays]


def is_open(equation: Any) -> bool:
    """Whether an equation sorts, by one array, along a side that is not known."""
    if equation.primitive is not lax.sort_p or equation.params['num_keys'] != 1:
        return False
    return not isinstance(equation.invars[0].aval.shape[equation.params['dimension']], int)


def teach() -> None:
    """Tells jax2onnx what such sorting is in ONNX: places by TopK, and what lies in these."""
    from jax2onnx.plugins import plugin_system  # type: ignore[import-not-found]

    if NAME in plugin_system.PLUGIN_REGISTRY:
        return

    @plugin_system.register_primitive(jaxpr_primitive=NAME)
    class Sort(plugin_system.PrimitiveLeafPlugin):
        def lower(self, ctx: Any, eqn: Any) -> None:
            axis, build = eqn.params['axis'], ctx.builder
            arrays = [ctx.get_value_for_var(each) for each in eqn.invars]
            names = [ctx.get_value_for_var(each).name for each in eqn.outvars]
            length = build.Shape(
                arrays[0], start=axis, end=axis + 1, _outputs=[ctx.fresh_name('length')]
            )
            places = ctx.fresh_name('places')
            least, places = build.TopK(
                arrays[0], length, axis=axis, largest=0, _outputs=[names[0], places]
            )
            rest = [
                build.GatherElements(x, places, axis=axis, _outputs=[name])
                for x, name in zip(arrays[1:], names[1:], strict=True)
            ]
            for variable, given, made in zip(eqn.outvars, arrays, [least, *rest], strict=True):
                made.type, made.shape = given.type, given.shape
                ctx.bind_value_for_var(variable, made)
