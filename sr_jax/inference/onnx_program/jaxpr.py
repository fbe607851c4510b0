"""What jax2onnx is given of a network: what it calls written out, what is known computed."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jaxtyping import Array

from sr_jax.inference.onnx_program import sorting

# Equations of a jaxpr that call another one, and their parameters that hold it.
CALLS = ('jit', 'pjit', 'custom_vjp_call', 'custom_jvp_call', 'remat2', 'checkpoint')
CALLED = ('jaxpr', 'call_jaxpr', 'fun_jaxpr')
SMALL = 2**12  # numbers that are kept, not computed again, even if they were made of fewer


def evaluate(jaxpr: Any, consts: Sequence[Any], *inputs: Any) -> list[Any]:
    """The results of a jaxpr, what it calls written out, and what holds no input computed at once.

    jax2onnx 0.17.1 looks for a class that JAX 0.12 no longer has wherever a function is called, and
    what it puts in place of functions of jax.numpy takes other arguments than these do. What it is
    given of weights alone, onnxruntime 1.31 may compute in every call.

    Args:
      jaxpr: of the function.
      consts: its constants.
      inputs: of the function.
    """
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if hasattr(atom, 'val') else values[atom]

    for equation in jaxpr.eqns:
        called = next((equation.params[key] for key in CALLED if key in equation.params), None)
        given = [read(atom) for atom in equation.invars]
        made: Any
        if called is not None and equation.primitive.name in CALLS:
            made = evaluate(called.jaxpr, called.consts, *given)
        elif _is_known(equation, given):
            with jax.ensure_compile_time_eval():
                made = equation.primitive.bind(*given, **equation.params)
        elif equation.primitive is lax.pad_p:
            x, value = given
            made = _pad(x, value, equation.params['padding_config'])
        elif sorting.is_open(equation):
            made = sorting.sort_p.bind(*given, axis=equation.params['dimension'])
        else:
            made = equation.primitive.bind(*given, **equation.params)
        many = equation.primitive.multiple_results or called is not None
        values.update(zip(equation.outvars, made if many else [made], strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _is_known(equation: Any, given: Sequence[Any]) -> bool:
    """Whether an equation's results are numbers, and not many more than it is given."""
    if not given or any(isinstance(x, jax.core.Tracer) for x in given):
        return False
    sides = [side for variable in equation.outvars for side in variable.aval.shape]
    if not all(isinstance(side, int) for side in sides):
        return False
    made = sum(variable.aval.size for variable in equation.outvars)
    return made <= max(SMALL, sum(np.size(x) for x in given))


def _pad(x: Array, value: Array, widths: Sequence[tuple[int, int, int]]) -> Array:
    """`lax.pad`, for which jax2onnx asks for known sizes where there is no need of them."""
    if any(between or before < 0 or after < 0 for before, after, between in widths):
        return lax.pad(x, value, widths)
    for axis, (*around, _) in enumerate(widths):
        before, after = (
            [lax.broadcast(value, (*x.shape[:axis], width, *x.shape[axis + 1 :]))]
            if width != 0
            else []
            for width in around
        )
        if before or after:
            x = lax.concatenate([*before, x, *after], axis)
    return x
