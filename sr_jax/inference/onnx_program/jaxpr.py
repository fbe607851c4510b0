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
SAME = ('copy', 'copy_p', 'stop_gradient')  # operations that give what they are given
SMALL = 2**12  # numbers that are kept, not computed again, even if they were made of fewer


def evaluate(jaxpr: Any, consts: Sequence[Any], *inputs: Any) -> list[Any]:
    """The results of a jaxpr, what it calls written out, and what holds no input computed at once.

    jax2onnx 0.17.1 looks for a class that JAX 0.12 no longer has wherever a function is called, and
    what it puts in place of functions of jax.numpy takes other arguments than these do. What it is
    given of weights alone, onnxruntime 1.31 may compute in every call. What is computed of the same
    values twice, such as the masks of windows in every block, is computed once.

    Args:
      jaxpr: of the function.
      consts: its constants.
      inputs: of the function.
    """
    return _evaluate(jaxpr, consts, inputs, {})


def _evaluate(
    jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Any], done: dict[Any, Any]
) -> list[Any]:
    """As `evaluate`; done: what was given and made, by what `_identify` says."""
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if hasattr(atom, 'val') else values[atom]

    for equation in jaxpr.eqns:
        called = next((equation.params[key] for key in CALLED if key in equation.params), None)
        given = [read(atom) for atom in equation.invars]
        if called is not None and equation.primitive.name in CALLS:
            made = _evaluate(called.jaxpr, called.consts, given, done)
        elif _is_same(equation):
            made = given
        else:
            name = _identify(equation, given)
            if name not in done:
                found = _compute(equation, given)
                many = equation.primitive.multiple_results
                # What was given stays alive, so that nothing else has its id.
                done[name] = given, found if many else [found]
            made = done[name][1]
        values.update(zip(equation.outvars, made, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _is_same(equation: Any) -> bool:
    """Whether an equation gives what it is given."""
    if equation.primitive is not lax.convert_element_type_p:
        return equation.primitive.name in SAME
    (x,), (y,) = equation.invars, equation.outvars
    return bool(x.aval.dtype == y.aval.dtype)


def _compute(equation: Any, given: Sequence[Any]) -> Any:
    """What an equation makes of values."""
    if _is_known(equation, given):
        with jax.ensure_compile_time_eval():
            return equation.primitive.bind(*given, **equation.params)
    if equation.primitive is lax.pad_p:
        x, value = given
        return _pad(x, value, equation.params['padding_config'])
    if sorting.is_open(equation):
        return sorting.sort_p.bind(*given, axis=equation.params['dimension'])
    return equation.primitive.bind(*given, **equation.params)


def _identify(equation: Any, given: Sequence[Any]) -> Any:
    """What is the same for equations that compute the same, as far as can be told."""
    values = [
        (type(x), np.shape(x), np.asarray(x).dtype, np.asarray(x).tobytes())
        if not isinstance(x, jax.core.Tracer) and np.size(x) <= SMALL
        else id(x)
        for x in given
    ]
    name = (equation.primitive, *values, *sorted(equation.params.items(), key=lambda each: each[0]))
    try:
        hash(name)
    except TypeError:
        return id(equation)
    return name


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
