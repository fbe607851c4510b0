"""Steps of a flow, ActNorm, mixing of channels and coupling, and a stack of them as one layer."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Bool, Float

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError
from sr_jax.layers.flow import mixing
from sr_jax.layers.flow.act_norm import ActNorm
from sr_jax.layers.flow.coupling import MIN_SCALE, ConditionalCoupling, Maps
from sr_jax.layers.flow.mixing import InvertibleConvolution, Matrix

MEMORY = ('keep', 'remat', 'reversible')
START_SIDE = 2  # of the maps that a step's parameters are made with


class FlowStep(nn.Module):
    """ActNorm, invertible 1 x 1 convolution, conditional coupling; the inverse goes backwards.

    Lugmayr et al. 2020 (arXiv:2006.14200), section 3.3.

    Attributes:
      channels: of z.
      coupled: whether there is a coupling; SRFlow's transition steps have none.
      hidden: channels inside the coupling's networks.
      parametrization: see `InvertibleConvolution`.
      dtype: name of the type that convolutions compute in; z is float32.
      middle, min_scale: see `CouplingNet`.
    """

    channels: int
    coupled: bool = True
    hidden: int = 64
    parametrization: str = 'plain'
    dtype: str = 'float32'
    middle: int = 1
    min_scale: float = MIN_SCALE

    def setup(self) -> None:
        """Makes the parts."""
        self.act_norm = ActNorm(self.channels)
        self.mixing = InvertibleConvolution(self.channels, self.parametrization)
        if self.coupled:
            self.coupling = ConditionalCoupling(
                self.channels, self.hidden, self.dtype, self.middle, self.min_scale
            )

    def __call__(
        self, z: Float[Array, 'n h w c'], maps: Maps, known: Matrix | None = None
    ) -> tuple[Float[Array, 'n h w c'], Float[Array, ' n']]:
        """Returns the next z, and the log-determinant.

        Args:
          z: float32.
          maps: that the coupling depends on.
          known: the matrix, where it is at hand.
        """
        z, log_determinant = self.act_norm(z)
        z, of_mixing = self.mixing(z, known)
        log_determinant += of_mixing
        if self.coupled:
            z, of_coupling = self.coupling(z, maps)
            log_determinant += of_coupling
        return z, log_determinant

    def inverse(
        self, z: Float[Array, 'n h w c'], maps: Maps, known: Float[Array, 'c c'] | None = None
    ) -> Float[Array, 'n h w c']:
        """Returns the z before the step; `known` is the inverse matrix, where it is at hand."""
        if self.coupled:
            z = self.coupling.inverse(z, maps)
        return self.act_norm.inverse(self.mixing.inverse(z, known))


class FlowSteps(nn.Module):
    """`count` steps one after the other, as one loop: compiled once, however many there are.

    The parameters are those of `FlowStep`, stacked in a first axis. All matrices of 1 x 1
    convolutions are factorised or inverted in one batch. As with `ActNorm`, a call in which
    'params' is mutable begins with the data.

    Attributes:
      count: steps.
      step: one of them, unbound.
      memory: what the backward pass has of the forward one. 'keep': all activations. 'remat': z
        before each step, the rest computed again. 'reversible': z after the last one alone, what
        was before computed from it by the inverse (Gomez et al. 2017, arXiv:1707.04585), so that
        activations take no more memory however many steps there are; gradients are the same but for
        the rounding of the inverse.
    """

    count: int
    step: FlowStep
    memory: str = 'keep'

    def __call__(
        self, z: Float[Array, 'n h w c'], maps: Maps
    ) -> tuple[Float[Array, 'n h w c'], Float[Array, ' n'], Bool[Array, ' count']]:
        """Returns z after the steps, the log-determinant of all, and which steps stayed finite.

        Raises InputError for another `memory`.
        """
        if self.memory not in MEMORY:
            raise InputError(f'memory={self.memory!r}: {nearest(self.memory, MEMORY)}')
        params, maps = self._stack_parameters(maps), tuple(maps)
        step = self.step.clone(parent=None)
        if self.is_mutable_collection('params') and not self.is_initializing():
            return self._begin(step, params, z, maps)
        matrices = mixing.matrix(params['mixing'])
        if self.memory != 'reversible':
            return _run(step, params, matrices, z, maps, remat=self.memory == 'remat')
        inverses = lax.stop_gradient(mixing.inverse_matrix(params['mixing']))
        return _make_reversible(step)(params, matrices, inverses, z, maps)

    def inverse(self, z: Float[Array, 'n h w c'], maps: Maps) -> Float[Array, 'n h w c']:
        """Returns the z before the steps."""
        params, maps = self._stack_parameters(maps), tuple(maps)
        inverses = mixing.inverse_matrix(params['mixing'])
        step = self.step.clone(parent=None)

        def back(z: Array, xs: Any) -> tuple[Array, None]:
            own, known = xs
            return _undo(step, own, known, z, maps), None

        return lax.scan(back, z, (params, inverses), reverse=True)[0]

    @nn.compact
    def _stack_parameters(self, maps: Maps) -> dict[str, Any]:
        """Makes the parameters of all steps, stacked; or finds them, without tracing how they are
        made, as `param` would at each call to compare the shapes."""
        if self.has_variable('params', 'steps'):
            return self.get_variable('params', 'steps')
        step = self.step.clone(parent=None)

        def start(key: Array) -> dict[str, Any]:
            z = jnp.zeros((1, START_SIDE, START_SIDE, step.channels), jnp.float32)
            shapes = [(1, START_SIDE, START_SIDE, x.shape[-1]) for x in maps]
            small = [jnp.zeros(shape, jnp.float32) for shape in shapes]
            return jax.vmap(lambda k: step.init(k, z, small)['params'])(
                jax.random.split(key, self.count)
            )

        return self.param('steps', start)

    def _begin(
        self, step: FlowStep, params: dict[str, Any], z: Array, maps: tuple[Array, ...]
    ) -> tuple[Array, Array, Array]:
        """Runs the forward pass in which every step begins with the data that reaches it."""

        def one(carry: tuple[Array, Array], own: Any) -> tuple[tuple[Array, Array], Any]:
            z, log_determinant = carry
            (z, gained), mutated = step.apply({'params': own}, z, maps, mutable=['params'])
            return (z, log_determinant + gained), (mutated['params'], _all_finite(z, gained))

        carry, (begun, finite) = lax.scan(one, (z, jnp.zeros(len(z), jnp.float32)), params)
        self.put_variable('params', 'steps', begun)
        return *carry, finite


def _run(
    step: FlowStep,
    params: dict[str, Any],
    matrices: Matrix,
    z: Float[Array, 'n h w c'],
    maps: tuple[Array, ...],
    remat: bool = False,
) -> tuple[Array, Array, Array]:
    """Runs the forward pass: see `FlowSteps.__call__`."""

    def one(carry: tuple[Array, Array], xs: Any) -> tuple[tuple[Array, Array], Array]:
        z, log_determinant = carry
        own, known = xs
        z, gained = _do(step, own, known, z, maps)
        return (z, log_determinant + gained), _all_finite(z, gained)

    body = jax.checkpoint(one, prevent_cse=False) if remat else one
    carry, finite = lax.scan(body, (z, jnp.zeros(len(z), jnp.float32)), (params, matrices))
    return *carry, finite


def _do(
    step: FlowStep, params: Any, known: Matrix, z: Array, maps: tuple[Array, ...]
) -> tuple[Array, Array]:
    return step.apply({'params': params}, z, maps, known)  # type: ignore[return-value]


def _undo(step: FlowStep, params: Any, known: Array, z: Array, maps: tuple[Array, ...]) -> Array:
    return step.apply({'params': params}, z, maps, known, method='inverse')  # type: ignore


def _all_finite(*arrays: Array) -> Bool[Array, '']:
    return jnp.stack([jnp.isfinite(x).all() for x in arrays]).all()


def _make_reversible(step: FlowStep) -> Callable[..., tuple[Array, Array, Array]]:
    """Returns `_run` with a backward pass from z after each step to z before it by the inverse."""

    @jax.custom_vjp
    def run(params, matrices, inverses, z, maps):
        return _run(step, params, matrices, z, maps)

    def forward(params, matrices, inverses, z, maps):
        outputs = run(params, matrices, inverses, z, maps)
        return outputs, (params, matrices, inverses, outputs[0], maps)

    def backward(residuals, cotangents):
        params, matrices, inverses, z, maps = residuals
        of_z, of_log_determinant, _ = cotangents

        def one(carry, xs):
            z, of_z, of_maps = carry
            own, known, inverse = xs
            before = _undo(step, own, inverse, z, maps)
            pull_back = jax.vjp(lambda *values: _do(step, *values), own, known, before, maps)[1]
            of_own, of_known, of_z, added = pull_back((of_z, of_log_determinant))
            of_maps = jax.tree.map(jnp.add, of_maps, added)
            return (before, of_z, of_maps), (of_own, of_known)

        carry = (z, of_z, jax.tree.map(jnp.zeros_like, maps))
        (_, of_z, of_maps), (of_params, of_matrices) = lax.scan(
            one, carry, (params, matrices, inverses), reverse=True
        )
        return of_params, of_matrices, jnp.zeros_like(inverses), of_z, of_maps

    run.defvjp(forward, backward)
    return run
