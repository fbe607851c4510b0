"""Super-resolution and switched convolutions in JAX and Flax."""

from typing import Any

__version__ = '0.1.0'
__all__ = ['app', 'enlarged_frames', 'upscale', 'upscale_film']


def __getattr__(name: str) -> Any:
    """The functions of `__all__`, imported when first used: `import sr_jax` alone is quick."""
    if name == 'app':
        from sr_jax.page.launch import app

        return app
    if name == 'upscale':
        from sr_jax.inference.upscale import upscale

        return upscale
    if name in ('enlarged_frames', 'upscale_film'):
        from sr_jax.inference.film import upscale as film

        return getattr(film, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
