"""The negative log-likelihood of images, in bits."""

import math

from jaxtyping import Array, Float

LEVELS = 256  # of an image's values


def bits_per_dimension(log_likelihood: Float[Array, '*n'], dimensions: int) -> Float[Array, '*n']:
    """Returns -log2 p / dimensions + log2(256), of a density over images in [0, 1].

    Where an image of 256 levels was given noise as wide as one of them, the mean of this is an
    upper bound of the bits that a value of it takes, losslessly coded: Theis et al. 2016
    (arXiv:1511.01844), section 3.1. Of other densities it is the same measure without that meaning.
    SRFlow's own code divides by the pixels instead and adds nothing: its number is three times
    (this one - 8).

    Args:
      log_likelihood: of images, in nats.
      dimensions: values of an image: height * width * 3.
    """
    return -log_likelihood / (math.log(2) * dimensions) + math.log2(LEVELS)
