"""Selectors: from features to one logit for each kernel of a switched convolution and pixel.

The networks are those of the article on switched convolutions (neonbjb, 2021) and its code, where
they are called couplers: neonbjb/SwitchedConvolutions `cuda/switched_conv.py`, and
neonbjb/DL-Art-School at the time of the article for 'bn_lambda'. Selectors compute in float32
whatever the network around them does, as Switch Transformers' routers do (Fedus et al. 2021,
arXiv:2101.03961, section 2.4).
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from sr_jax.errors import InputError
from sr_jax.layers.attention import TransformerBlock
from sr_jax.layers.batch_norm import BatchNorm
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.lambda_layer import LambdaLayer

NETWORKS = ('standard', 'lambda', 'lambda2', 'bn_lambda', 'attention', 'logits')
DROPPED = ('zero', 'excluded')


def kept_kernels(uniform: Float[Array, 'n 1 1 b'], rate: float) -> Bool[Array, 'n 1 1 b']:
    """Returns which kernels each image keeps: those drawn above the rate, or all if none is."""
    keep = uniform > rate
    return keep | ~keep.any(axis=-1, keepdims=True)


def drop_kernels(
    logits: Float[Array, 'n h w b'], keep: Bool[Array, 'n 1 1 b'], dropped: str = 'zero'
) -> Float[Array, 'n h w b']:
    """Removes kernels that are not kept from the logits, without a gradient for them.

    'zero' sets their logits to 0, as the original does: such a kernel still wins wherever the
    others are negative. 'excluded' sets them to -inf, so that it never wins.
    """
    return jnp.where(keep, logits, 0.0 if dropped == 'zero' else -jnp.inf)


class Selector(nn.Module):
    """One logit for each of `breadth` kernels, at every `stride`-th pixel of the features.

    Attributes:
      breadth: number of kernels.
      network: 'standard' (a 1 x 1 convolution), 'lambda' (the article's: a lambda layer after a
        group norm, then a 1 x 1 convolution), 'lambda2' (two lambda layers), 'bn_lambda'
        (DL-Art-School's: a 1 x 1 convolution before the lambda layer, batch norms), 'attention'
        (a transformer block; its memory grows with the square of the pixels), 'logits' (the
        features are the logits, at the output's resolution), or a module to be called as
        module(features, train), which returns logits [n, h, w, breadth] of every pixel.
      stride: of the convolution that is switched.
      dropout_rate: share of kernels that each image does without in training, in [0, 1); random
        stream 'dropout'.
      dropped: 'zero' or 'excluded', see `drop_kernels`.
    """

    breadth: int
    network: str | nn.Module = 'lambda'
    stride: int = 1
    dropout_rate: float = 0.0
    dropped: str = 'zero'

    @nn.compact
    def __call__(
        self, features: Float[Array, 'n h w c'], train: bool = False
    ) -> Float[Array, 'n h2 w2 breadth']:
        """Returns the logits, float32, with ceil(h / stride) rows.

        Raises InputError for a network that does not exist, or one that does not fit the sizes.
        """
        if self.dropped not in DROPPED:
            raise InputError(f'dropped is {self.dropped!r}: it must be one of {DROPPED}')
        logits = self._logits(features.astype(jnp.float32), train)
        if train and self.dropout_rate > 0 and not self.is_initializing():
            n = len(logits)
            uniform = jax.random.uniform(self.make_rng('dropout'), (n * self.breadth,))
            keep = kept_kernels(uniform.reshape(n, 1, 1, self.breadth), self.dropout_rate)
            logits = drop_kernels(logits, keep, self.dropped)
        return logits

    def _logits(self, x: Float[Array, 'n h w c'], train: bool) -> Float[Array, 'n h2 w2 b']:
        if isinstance(self.network, nn.Module):
            shape = (*x.shape[:3], self.breadth)
            logits = self.network(x, train)
            if logits.shape != shape:
                raise InputError(f'the selector gave logits {logits.shape} instead of {shape}')
            return logits[:, :: self.stride, :: self.stride].astype(jnp.float32)
        if self.network == 'logits':
            if x.shape[-1] != self.breadth:
                raise InputError(f'{x.shape[-1]} logits were given for {self.breadth} kernels')
            return x
        if self.network not in NETWORKS:
            raise InputError(f'selector network {self.network!r}: it must be one of {NETWORKS}')
        x = getattr(self, f'_{self.network}')(x, train)
        return Convolution(self.breadth, 1, self.stride, name='conv')(x)

    def _standard(self, x, train):
        return x

    def _lambda(self, x, train):
        x = group_norm(x, 2, name='norm')
        return nn.relu(LambdaLayer(self.breadth, name='lambda')(x, train))

    def _lambda2(self, x, train):
        x = LambdaLayer(x.shape[-1], name='lambda_0')(x, train)
        x = nn.relu(group_norm(x, 2, name='norm_0'))
        x = LambdaLayer(self.breadth, name='lambda_1')(x, train)
        return nn.relu(group_norm(x, 1, name='norm_1'))

    def _bn_lambda(self, x, train):
        x = Convolution(x.shape[-1], 1, name='conv_in')(x)
        x = nn.relu(BatchNorm(name='norm_in')(x, train))
        x = LambdaLayer(self.breadth, name='lambda')(x, train)
        return nn.relu(BatchNorm(name='norm')(x, train))

    def _attention(self, x, train):
        return TransformerBlock(name='block')(x)


def group_norm(x: Float[Array, 'n h w c'], groups: int, name: str) -> Float[Array, 'n h w c']:
    """Applies PyTorch's GroupNorm, as a submodule `name` of the module that calls it.

    Raises InputError where the channels do not fall into `groups` equal groups.
    """
    if x.shape[-1] % groups:
        raise InputError(
            f'this selector splits its channels into {groups} groups: {x.shape[-1]} channels do '
            f"not fit. Take a multiple of {groups}, or another selector, such as network='standard'"
        )
    norm = functools.partial(nn.GroupNorm, epsilon=1e-5, use_fast_variance=False)
    return norm(num_groups=groups, name=name)(x)
