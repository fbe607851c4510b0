"""What a prior over codes is told beside the codes: the class of the image."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from sr_jax.layers.convolution import normal_init
from sr_jax.layers.parameter import parameter


class ClassEmbedding(nn.Module):
    """A vector for each class, and one for no class, whose number is `classes`.

    Without a class known, as classifier-free guidance (Ho and Salimans 2022, arXiv:2207.12598)
    needs it, the vector of no class is taken.

    Attributes:
      classes: how many there are.
      features: of a vector.
    """

    classes: int
    features: int

    @nn.compact
    def __call__(self, label: Int[Array, ' n'] | None, n: int) -> Float[Array, 'n features']:
        """Returns the vectors of labels, or of no class for n maps without any."""
        shape = (self.classes + 1, self.features)
        table = parameter(self, 'table', normal_init(0.1), shape)
        label = jnp.full(n, self.classes) if label is None else label
        return jnp.take(table, label, axis=0)  # of a class that is not there: not a number
