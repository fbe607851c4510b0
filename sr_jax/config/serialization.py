"""Configs as JSON, and how two of them differ."""

import json
import math

import ml_collections

from sr_jax.config.binding import Section


def to_json(config: ml_collections.ConfigDict) -> str:
    """Returns the config as JSON text; `from_json` reads it back."""
    return config.to_json(indent=2, sort_keys=True)


def from_json(text: str) -> ml_collections.ConfigDict:
    """Returns the locked config that `to_json` wrote (tuples come back as tuples)."""
    return ml_collections.ConfigDict(_restore_tuples(json.loads(text))).lock()


def _restore_tuples(value):
    if isinstance(value, dict):
        return {key: _restore_tuples(v) for key, v in value.items()}
    return tuple(_restore_tuples(v) for v in value) if isinstance(value, list) else value


def differences(old: Section, new: Section, where: str = 'config') -> list[str]:
    """Returns 'config.a.b: old -> new' for every key whose value differs."""
    lines = []
    for key in sorted(set(old) | set(new)):
        a, b = old.get(key, '(absent)'), new.get(key, '(absent)')
        name = f'{where}.{key}'
        if isinstance(a, Section) and isinstance(b, Section):
            lines += differences(a, b, name)
        elif a != b and not (_is_nan(a) and _is_nan(b)):
            lines.append(f'{name}: {_shorten(a)} -> {_shorten(b)}')
    return lines


def _is_nan(value) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _shorten(value) -> str:
    text = str(value)
    return text if len(text) <= 200 else f'{text[:200]}...'
