"""Super-resolution and switched convolutions in JAX and Flax."""

from typing import Any

__version__ = '0.1.0'
__all__ = ['upscale']


def __getattr__(name: str) -> Any:
    """`sr_jax.upscale`, imported when it is first used: `import sr_jax` alone is quick."""
    if name != 'upscale':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from sr_jax.inference.upscale import upscale

    return upscale
