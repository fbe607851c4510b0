"""Groups of blocks, each with a convolution and added to what it was given, between two norms."""

from collections.abc import Callable

from jaxtyping import Array, Float

from sr_jax.layers.reconstruction import BodyConvolution
from sr_jax.layers.tokens import layer_norm

Features = Float[Array, 'n h w c']


def apply_groups(
    x: Features,
    num_groups: int,
    group: Callable[[int, Features], Features],
    body_convolutions: int,
    dtype: str,
) -> Features:
    """The body of SwinIR (arXiv:2108.10257, equations 4 to 7) and of its successors.

    To be used in a compact method, whose module has these parts then.

    Args:
      x: shallow features.
      num_groups: how many groups there are.
      group: the number of a group and its input -> what its blocks make of that.
      body_convolutions: see `BodyConvolution`.
      dtype: name of the type computed in.
    """
    x = layer_norm('norm_first', dtype)(x)
    for i in range(num_groups):
        convolution = BodyConvolution(body_convolutions, dtype, name=f'group_{i}_conv')
        x = x + convolution(group(i, x))
    x = layer_norm('norm_last', dtype)(x)
    return BodyConvolution(body_convolutions, dtype, name='conv_body')(x)
