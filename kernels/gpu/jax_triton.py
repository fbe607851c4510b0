"""jax-triton, which calls kernels in Triton's language from JAX: whether it is there, and ready.

It comes with the extras `cuda12` and `cuda13`, for Python 3.12 and later.
"""

import functools
import importlib.util
import sys
from types import ModuleType

import jax
from jax.interpreters import mlir

_INSTALL = "pip install 'sr_jax[cuda12]' or 'sr_jax[cuda13]'"


@functools.cache
def find_obstacle() -> str | None:
    """Why Triton's kernels cannot be compiled in this process, in a few words, if they cannot."""
    if sys.version_info < (3, 12):
        return 'jax-triton needs Python 3.12 or later'
    for package in ('jax_triton', 'triton'):
        if importlib.util.find_spec(package) is None:
            return f'{package} is not installed ({_INSTALL})'
    try:
        module = load()
        module.triton_call  # noqa: B018
    except (ImportError, AttributeError) as error:
        what = str(error).splitlines()[0]
        names = f'jax-triton, Triton and JAX {jax.__version__}'
        return f'{names} do not fit together ({what}; {_INSTALL})'
    return None


@functools.cache
def load() -> ModuleType:
    """jax-triton, with the rules that it lacks for this JAX.

    Since JAX 0.12 a rule for dead code gets a third argument, which that of jax-triton 0.4.1 does
    not take. On a CPU its calls are an error that names the remedy.
    """
    import jax_triton
    from jax_triton.triton_lib import triton_kernel_call_p

    if lacks_rule_for_dead_code():
        from jax._src.interpreters.partial_eval import dce_rules

        dce_rules[triton_kernel_call_p] = _keep_call
    mlir.register_lowering(triton_kernel_call_p, _refuse, platform='cpu')
    return jax_triton


def lacks_rule_for_dead_code() -> bool:
    """Whether jax-triton's own rule does not fit this JAX."""
    from jax_triton.triton_lib import _triton_kernel_call_dce_rule

    takes = _triton_kernel_call_dce_rule.__code__.co_argcount
    return takes < 3 and jax.__version_info__ >= (0, 12)


def _keep_call(used_outputs, live_inputs, equation):
    """A call is never left out, nor one of its arguments."""
    del used_outputs, live_inputs
    return [True] * len(equation.invars), equation


def _refuse(*args, **parameters):
    del args, parameters
    raise NotImplementedError(
        "kernels that Triton compiles run on NVIDIA GPUs only: take 'xla' or 'triton_interpret' on "
        'a CPU'
    )
