"""Losses between the features that a network finds in two images.

The network comes as a function `features(images) -> {name of the layer: [n, h, w, c]}`, with its
parameters bound into it. Features are compared in float32, whatever type they have.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.config.binding import nearest
from sr_jax.errors import InputError
from sr_jax.losses import pixel

Features: TypeAlias = Mapping[str, Float[Array, 'n h w c']]


def perceptual_loss(
    features: Callable[[Float[Array, 'n h w c']], Features],
    prediction: Float[Array, 'n h w c'],
    target: Float[Array, 'n h w c'],
    weights: Mapping[str, float],
    criterion: str = 'l1',
    style_weight: float = 0.0,
) -> Float[Array, '']:
    """Returns sum_i weights[i] (d(F_i, G_i) + style_weight d(gram(F_i), gram(G_i))), in float32.

    F_i and G_i are the features of prediction and target in layer i, d is the criterion. No
    gradient goes to the target. Johnson, Alahi, Fei-Fei 2016 (arXiv:1603.08155), where d is the
    squared distance; ESRGAN (arXiv:1809.00219) has l1 and layer conv5_4 of VGG19 before its
    activation with weight 1, Real-ESRGAN (arXiv:2107.10833) conv1_2 and conv2_2 with 0.1, conv3_4,
    conv4_4 and conv5_4 with 1.

    Args:
      features: see above; called once for each of the two.
      prediction: images in [0, 1], or what else `features` takes.
      target: the same.
      weights: by layer.
      criterion: 'l1', 'l2' or 'charbonnier'.
      style_weight: of the style term; 0 leaves it out.

    Raises:
      InputError: no such criterion or layer, or there are no weights.
    """
    compare = pixel.find_criterion(criterion)
    found, wanted = features(prediction), features(jax.lax.stop_gradient(target))
    _check_layers(weights, found)
    loss = jnp.zeros((), jnp.float32)
    for layer, weight in weights.items():
        x, y = found[layer], jax.lax.stop_gradient(wanted[layer])
        loss += weight * compare(x, y)
        if style_weight:
            loss += weight * style_weight * compare(gram(x), gram(y))
    return loss


def gram(x: Float[Array, 'n h w c']) -> Float[Array, 'n c c']:
    """Returns the products of the channels, summed over the pixels, over h w c; in float32.

    The style of Gatys, Ecker, Bethge 2015 (arXiv:1508.06576), scaled as in Johnson et al. 2016.
    """
    x = x.astype(jnp.float32)
    height, width, channels = x.shape[1:]
    products = jnp.einsum('nhwc,nhwd->ncd', x, x, precision=jax.lax.Precision.HIGHEST)
    return products / (height * width * channels)


def _check_layers(weights: Iterable[str], found: Iterable[str]) -> None:
    found, weights = list(found), list(weights)
    if not weights:
        raise InputError(f'the perceptual loss has no weights; layers: {", ".join(found)}')
    for layer in weights:
        if layer not in found:
            raise InputError(f'the features have no layer {layer!r}; {nearest(layer, found)}')
