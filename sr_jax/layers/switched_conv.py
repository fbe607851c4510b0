"""The switched convolution: b kernels, and at every pixel a learnt choice of one of them.

The article by neonbjb (2021) and neonbjb/SwitchedConvolutions. Features go through a selector, the
softmax, the switch norm and a hard choice; the chosen kernel gives the output. The selector learns
from that output alone: with g the cotangent, the logarithm of the winner's probability gets
sum_o g_o y_o, as through the original's differentiable argmax. Nearly all of that is the same
whichever kernel is chosen, tells nothing of the choice, and goes on through the selector into the
layers before; `credit='advantage'` takes from y what the mean of the kernels gives.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float, Int32

from sr_jax.errors import InputError
from sr_jax.kernels.switched_conv import route, switched_conv  # type: ignore[import-not-found]
from sr_jax.layers.convolution import convolve, uniform_init
from sr_jax.layers.diff_argmax import credit, log_probability_of, winner
from sr_jax.layers.parameter import parameter
from sr_jax.layers.selector import Selector
from sr_jax.layers.soft_routing import blended_convolution
from sr_jax.layers.switch_norm import SwitchNorm

ROUTINGS = ('hard', 'soft')
STARTS = ('published', 'convolution')
CREDITS = ('output', 'advantage')
MAX_BREADTH = 256


class Selection(NamedTuple):
    """Which kernel computes each pixel of an output.

    Attributes:
      log_probabilities: normalised, float32 [n, h2, w2, breadth].
      choice: the kernel of each pixel, int32 [n, h2, w2].
      routing: the pixels sorted by kernel, see `sr_jax.kernels.switched_conv.route`.
    """

    log_probabilities: Float[Array, 'n h2 w2 b']
    choice: Int32[Array, 'n h2 w2']
    routing: Any


class SharedSelector(nn.Module):
    """A selector for several switched convolutions, whose pixels are sorted once for all of them.

    It learns from all convolutions that are given its selection. `choice` and `probabilities` are
    sown here, as `SwitchedConv` does, which has the attributes too.
    """

    breadth: int = 8
    stride: int = 1
    network: str | nn.Module = 'lambda'
    dropout_rate: float = 0.0
    dropped: str = 'zero'
    norm_size: int = 256
    implementation: str | None = None
    norm_start: str = 'full'

    @nn.compact
    def __call__(self, features: Float[Array, 'n h w d'], train: bool = False) -> Selection:
        """Returns the selection, for outputs of ceil(h / stride) x ceil(w / stride) pixels.

        Raises InputError as `SwitchedConv` does.
        """
        _check_selection(self)
        log_probabilities = _select(self, features, train)
        choice = winner(log_probabilities)
        routing = route(choice, self.breadth, implementation=self.implementation)
        return Selection(log_probabilities, choice, routing)


def _select(module, features: Array, train: bool) -> Float[Array, 'n h2 w2 b']:
    """Returns logarithms of the normalised probabilities of the kernels, by parts of the module."""
    logits = Selector(
        module.breadth,
        module.network,
        module.stride,
        module.dropout_rate,
        module.dropped,
        name='selector',
    )(features, train)
    if module.norm_size:
        log_probabilities = SwitchNorm(module.norm_size, start=module.norm_start, name='norm')(
            logits, train
        )
    else:
        log_probabilities = nn.log_softmax(logits, axis=-1)
    module.sow('intermediates', 'choice', winner(log_probabilities))
    module.sow('intermediates', 'probabilities', jnp.exp(log_probabilities))
    return log_probabilities


class SwitchedConv(nn.Module):
    """Convolution of `kernel_size` squared taps with `breadth` kernels to choose from.

    Parameters: `kernel` [breadth, k, k, in, features], one `bias` for all kernels, and those of
    the `selector`; the `norm` has its buffer in the collection 'switch_norm'. `choice` (int32
    [n, h2, w2]) and `probabilities` ([n, h2, w2, breadth], normalised) are sown into the
    collection 'intermediates', for maps and for a load-balancing loss.

    Attributes:
      features: channels of the output.
      kernel_size: taps along each side; odd.
      breadth: number of kernels, 1 to 256.
      stride: step along each side; the output has ceil(size / stride) pixels.
      network: of the `Selector`: a name or a module.
      dropout_rate: share of kernels that each image does without in training; random stream
        'dropout'.
      dropped: 'zero' (the original: they may still win) or 'excluded', see `Selector`.
      norm_size: rows of the switch norm's buffer; 0 does without the norm.
      norm_start: 'full' (the original: from its last row on) or 'first', see `SwitchNorm`.
      routing: 'hard', or 'soft' to blend all kernels, at b times the cost.
      use_bias: whether there is a bias.
      credit: what the selector learns from the chosen kernel's output y by, g its cotangent:
        'output', sum g y, as published; or 'advantage', sum g (y - what the mean of all kernels
        gives), which takes one dense convolution more in training.
      deviation: 0 lets every kernel be a parameter of its own. A number d above 0 makes kernel e
        `shared` + d `kernel`[e]: `shared` [k, k, in, features] starts as one kernel and is trained
        by all pixels, the others start at zero and deviate from it at d times the rate.
      start: 'published' draws kernels from U(-1/sqrt(b in k k), ..), as the original, which
        counts all kernels into the fan in; 'convolution' from U(-1/sqrt(in k k), ..), as each
        kernel's own convolution would.
      kernel_init: an initializer takes the place of `start`: it is given the shape of all kernels
        (or of the shared one), and the bias begins with zeros.
      implementation: of `sr_jax.kernels.switched_conv`; None takes the device's best.
      dtype: name of the type computed in and returned; the selector, and parameters, stay float32.
    """

    features: int
    kernel_size: int
    breadth: int = 8
    stride: int = 1
    network: str | nn.Module = 'lambda'
    dropout_rate: float = 0.0
    dropped: str = 'zero'
    norm_size: int = 256
    routing: str = 'hard'
    use_bias: bool = True
    start: str = 'published'
    implementation: str | None = None
    dtype: str = 'float32'
    kernel_init: nn.initializers.Initializer | None = None
    credit: str = 'output'
    deviation: float = 0.0
    norm_start: str = 'full'

    @nn.compact
    def __call__(
        self,
        x: Float[Array, 'n h w c'],
        train: bool = False,
        selector_features: Float[Array, 'n h3 w3 d'] | None = None,
        selection: Selection | None = None,
        gains: Callable[[Array], Float[Array, 'n b features']] | None = None,
    ) -> Float[Array, 'n h2 w2 features']:
        """Convolves x; the selector sees `selector_features`, or x where there are none.

        A `selection` of a `SharedSelector` takes the selector's place: this layer then has none.
        `gains` makes of the kernels a factor for each image, kernel and channel of the output, by
        which a pixel is multiplied that the kernel computes, before the bias.

        Raises InputError for settings that do not exist or are out of range, for features or a
        selection that do not fit, and in evaluation without the saved buffer of the switch norm.
        """
        self._check()
        kernel, bias = self._parameters(x.shape[-1])
        if selection is None:
            features = x if selector_features is None else selector_features
            log_probabilities = _select(self, features, train)
            choice, routing = winner(log_probabilities), None
        elif selector_features is not None:
            raise InputError('a selection was made already: leave selector_features out')
        else:
            log_probabilities, choice, routing = selection
        size, breadth = log_probabilities.shape[1:3], log_probabilities.shape[3]
        if breadth != self.breadth:
            raise InputError(
                f'the selection is among {breadth} kernels, but this layer has {self.breadth}: '
                f'give both the same breadth'
            )
        if size != tuple(-(-side // self.stride) for side in x.shape[1:3]):
            raise InputError(
                f'the selector chooses for {size} pixels, which does not fit {x.shape[1:3]} with '
                f'stride {self.stride}: choose for features of the same size'
            )
        x = x.astype(self.dtype)
        if self.routing == 'soft':
            if gains is not None:
                raise InputError(
                    "routing is 'soft', but a modulated convolution is switched by a choice: take "
                    "routing='hard'"
                )
            gates = jnp.exp(log_probabilities)
            return blended_convolution(x, gates, kernel, bias, self.stride)
        factor, after = None, None
        if gains is not None:
            factor, bias, after = _chosen_gains(choice, gains(kernel)), None, bias
        y = switched_conv(x, choice, kernel, bias, self.stride, self.implementation, routing)
        baseline = None
        if self.credit == 'advantage':
            baseline = _mean_output(*jax.lax.stop_gradient((x, kernel, bias)), self.stride)
        if factor is not None:
            y = y * factor.astype(y.dtype)
            baseline = None if baseline is None else baseline * jax.lax.stop_gradient(factor)
        y = credit(y, log_probability_of(choice, log_probabilities), baseline)
        return y if after is None else y + after[None, None, None, :]

    def _check(self) -> None:
        _check_whole('features', self.features, 1)
        _check_whole('kernel_size', self.kernel_size, 1)
        if self.kernel_size % 2 == 0:
            raise InputError(f'kernel_size is {self.kernel_size}: it must be odd')
        _check_selection(self)
        for name, value, valid in (
            ('routing', self.routing, ROUTINGS),
            ('start', self.start, STARTS),
            ('credit', self.credit, CREDITS),
        ):
            if value not in valid:
                raise InputError(f'{name} is {value!r}: it must be one of {valid}')
        if not 0 <= self.deviation < float('inf'):
            raise InputError(f'deviation is {self.deviation}: it must be 0 or more, and finite')

    def _parameters(self, channels: int) -> tuple[Array, Array | None]:
        """Returns kernels and bias in the type that is computed in."""
        fan_in = channels * self.kernel_size**2
        counted = self.breadth * fan_in if self.start == 'published' else fan_in
        shape = (self.breadth, self.kernel_size, self.kernel_size, channels, self.features)
        kernel_init, bias_init = uniform_init(counted), uniform_init(fan_in)
        if self.kernel_init is not None:
            kernel_init, bias_init = self.kernel_init, nn.initializers.zeros
        if self.deviation:
            shared = parameter(self, 'shared', kernel_init, shape[1:])
            deviations = parameter(self, 'kernel', nn.initializers.zeros, shape)
            kernel = shared[None] + self.deviation * deviations
        else:
            kernel = parameter(self, 'kernel', kernel_init, shape)
        kernel = jnp.asarray(kernel, self.dtype)
        if not self.use_bias:
            return kernel, None
        bias = parameter(self, 'bias', bias_init, (self.features,))
        return kernel, jnp.asarray(bias, self.dtype)


def _check_selection(module: SharedSelector | SwitchedConv) -> None:
    """Raises InputError for numbers out of range of what chooses among kernels."""
    _check_whole('breadth', module.breadth, 1, MAX_BREADTH)
    _check_whole('stride', module.stride, 1)
    _check_whole('norm_size', module.norm_size, 0)
    if not 0 <= module.dropout_rate <= 1:
        raise InputError(f'dropout_rate is {module.dropout_rate}: it must be from 0 to 1')


def _check_whole(name: str, value: Any, least: int, most: int | None = None) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        above = f' and at most {most}' if most else ''
        raise InputError(f'{name} is {value!r}: it must be a whole number, at least {least}{above}')


def _chosen_gains(
    choice: Int32[Array, 'n h w'], gains: Float[Array, 'n b c']
) -> Float[Array, 'n h w c']:
    """Returns at each pixel the factors of its kernel, by a product instead of a gather."""
    chosen = jax.nn.one_hot(choice, gains.shape[1], dtype=gains.dtype)
    return jnp.einsum('nhwb,nbc->nhwc', chosen, gains)


def _mean_output(x: Array, kernel: Array, bias: Array | None, stride: int) -> Array:
    """Returns what the kernels give on average, by one convolution."""
    mean = jnp.mean(kernel, axis=0, dtype=jnp.float32).astype(kernel.dtype)
    y = convolve(x, mean, stride)
    return y if bias is None else y + bias[None, None, None, :]
