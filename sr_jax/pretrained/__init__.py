"""Weights under foreign names and layouts, to ours and back; one file a network."""

from sr_jax.config.extension import extend

__path__ = extend(__path__, __name__)
