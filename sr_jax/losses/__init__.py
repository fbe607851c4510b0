"""Losses: two tensors to a scalar, differentiated."""

from sr_jax.config.extension import extend

__path__ = extend(__path__, __name__)
