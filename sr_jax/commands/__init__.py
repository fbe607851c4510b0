"""The verbs of `python -m sr_jax`, one a file."""

from sr_jax.config.extension import extend

__path__ = extend(__path__, __name__)
