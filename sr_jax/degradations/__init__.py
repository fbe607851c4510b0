"""Small, worse images made from good ones, on the device, to train and to measure with.

No function here has parameters or reads files. Tasks call `degrade` in their jitted step. Random
degradations draw for every image by itself from a key.
"""

from collections.abc import Mapping
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from sr_jax.config.binding import Section, bind, check_keys, config_fields, nearest
from sr_jax.degradations import bicubic, gaussian, second_order, tape
from sr_jax.degradations.settings import (
    BicubicSettings,
    GaussianSettings,
    PairedSettings,
    SecondOrderSettings,
    TapeSettings,
)
from sr_jax.errors import InputError

Settings: TypeAlias = (
    BicubicSettings | PairedSettings | SecondOrderSettings | GaussianSettings | TapeSettings
)

PAIRS = "'paired:<folder of hq>:<folder of lq>'"
KINDS = {
    'bicubic': BicubicSettings,
    'second_order': SecondOrderSettings,
    'paired': PairedSettings,
    'gaussian': GaussianSettings,
    'tape': TapeSettings,
}


def read_settings(section: Section, where: str = 'config.degradation') -> Settings:
    """Returns the settings that a section of a config holds; its `name` says of which kind.

    Raises:
      InputError: no such kind, or a key that is missing, unknown, of the wrong type or out of its
        range.
    """
    check_keys(section, ('name',), section, where)
    name = section['name']
    if name not in KINDS:
        raise InputError(f'{where}.name={name!r}: {nearest(str(name), KINDS)}')
    keys = {kind: {field.name for field in config_fields(KINDS[kind])} for kind in KINDS}
    others = [kind for kind in KINDS if set(section) <= keys[kind]]
    if others and name not in others:  # a flag changed the name, and cannot take keys away
        raise InputError(
            f'{where} has the name {name!r}, and the keys of {others[0]!r}: give it as a whole, '
            f'as in --{where}="{{\'name\': {name!r}}}"'
        )
    settings: Settings = bind(KINDS[name], section, where)
    return settings


def degrade(
    hq: Float[Array, 'n h w 3'], scale: int, settings: Settings, key: Key[Array, '']
) -> tuple[Float[Array, 'n h2 w2 3'], Float[Array, 'n h w 3']]:
    """Returns small images, ceil(side / scale) pixels a side, and what to make of them again.

    Args:
      hq: images in [0, 1].
      scale: of the network.
      settings: from `read_settings`.
      key: image i draws from it and i alone, whatever the other images are; the same key gives
        the same result. Bicubic images do not depend on it.

    Returns:
      (lq, target), both in [0, 1]. The target is `hq` itself but where the settings sharpen it,
      as `second_order` does for losses of pixels and features: a discriminator is shown `hq`.

    Raises:
      InputError: the images should have come in pairs.
    """
    if isinstance(settings, PairedSettings):
        raise InputError(
            "config.degradation.name='paired' makes no small images: they must come with the "
            f'true ones, from a source of the form {PAIRS}'
        )
    if isinstance(settings, BicubicSettings):
        return bicubic.degrade(hq, scale, settings.rounded), hq
    if isinstance(settings, GaussianSettings):
        return gaussian.degrade(hq, scale, settings.sigma), hq
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(len(hq)))
    if isinstance(settings, TapeSettings):
        return _play_images(hq, scale, settings, keys), hq
    return second_order.degrade(hq, scale, settings, keys)


def training_pair(
    batch: Mapping[str, Array], scale: int, settings: Settings, key: Key[Array, '']
) -> tuple[Float[Array, 'n h2 w2 3'], Float[Array, 'n h w 3']]:
    """Returns (lq, target) of a batch: those of `degrade`, or the pairs that it holds.

    Args:
      batch: with 'hq', and 'lq' of pairs.
      scale: of the network.
      settings: from `read_settings`.
      key: see `degrade`.

    Raises:
      InputError: the pairs are not of this scale.
    """
    if isinstance(settings, PairedSettings):
        return _take_lq(batch, scale), batch['hq']
    return degrade(batch['hq'], scale, settings, key)


def small_images(
    batch: Mapping[str, Array], scale: int, settings: Settings
) -> Float[Array, 'n h2 w2 3']:
    """Returns what to enlarge: the batch's 'lq', or its 'hq' degraded, each always alike.

    An image's draws come from its own pixels, so that it is degraded in the same way in every
    evaluation, whatever its place in a batch and the size of the batches.

    Args:
      batch: with 'lq', or 'hq' in [0, 1].
      scale: of the network.
      settings: from `read_settings`.

    Raises:
      InputError: the pairs are not of this scale, or are missing.
    """
    if 'lq' in batch:
        return _take_lq(batch, scale)
    hq = batch['hq']
    if isinstance(settings, SecondOrderSettings):
        return second_order.degrade(hq, scale, settings, keys_of(hq))[0]
    if isinstance(settings, TapeSettings):
        return _play_images(hq, scale, settings, keys_of(hq))
    return degrade(hq, scale, settings, jax.random.key(0))[0]


def _play_images(
    hq: Float[Array, 'n h w 3'], scale: int, settings: TapeSettings, keys: Key[Array, ' n']
) -> Float[Array, 'n h2 w2 3']:
    if settings.codec:
        raise InputError(
            f"config.degradation.codec={settings.codec!r} is for clips: take '' with single images"
        )
    return tape.degrade(hq[:, None], scale, settings, keys)[:, 0]


def keys_of(hq: Float[Array, 'n *shape']) -> Key[Array, ' n']:
    """Returns a key for each image or clip that depends on its pixels alone."""
    bits = jax.lax.bitcast_convert_type(hq.astype(jnp.float32), jnp.uint32)
    seeds = bits.reshape(len(hq), -1).sum(1, dtype=jnp.uint32)
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), seeds)


def _take_lq(batch: Mapping[str, Array], scale: int) -> Float[Array, 'n h w 3']:
    lq = batch['lq']
    if 'hq' in batch and batch['hq'].shape[1:3] != (scale * lq.shape[1], scale * lq.shape[2]):
        raise InputError(
            f'config.model.scale={scale}, but of the pairs of images the true one has '
            f'{batch["hq"].shape[1] / lq.shape[1]:g} times the side of the small one'
        )
    return lq
