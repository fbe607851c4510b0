"""Super-resolution and switched convolutions in JAX and Flax."""

__version__ = '0.1.0'
