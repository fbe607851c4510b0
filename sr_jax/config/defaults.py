"""Complete configs of the tasks, of which a file in `configs/` names only what differs.

Nothing is listed here but the sections that all tasks share. The others are said by the task's own
module, in `OWN_SECTIONS`: a dataclass for each; or, where a section's `name` chooses among several
kinds, these by their names, the default first. Of a network they are the fields of its module.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import ml_collections

from sr_jax.config.binding import Section, config_fields, find_module, nearest
from sr_jax.config.settings import (
    CheckpointSettings,
    DataSettings,
    EvaluationSettings,
    LogSettings,
    OptimizerSettings,
    TrainSettings,
)
from sr_jax.errors import InputError

SHARED = {
    'optimizer': OptimizerSettings,
    'train': TrainSettings,
    'data': DataSettings,
    'evaluation': EvaluationSettings,
    'checkpoint': CheckpointSettings,
    'log': LogSettings,
}
# Fields of networks that are no keys: the trainer says the first two, the upscaler the third, the
# task of segmentation the last.
NOT_KEYS = ('dtype', 'remat', 'patch', 'guide')


def defaults(task: str, **names: str) -> ml_collections.ConfigDict:
    """Returns a config of a task with every key, each at its default.

    Args:
      task: a module of `sr_jax.tasks`.
      names: the `name` of each section that has one to choose: of networks, modules of
        `sr_jax.models`, as in model='rrdb'; and of what else the task says, as in
        degradation='second_order'.

    Raises:
      InputError: no such task, network or kind; names the nearest.
    """
    sections: dict[str, Any] = {'task': task, 'seed': 0, 'dtype': 'float32'}
    for key, kind in _task_sections(task).items():
        if isinstance(kind, Mapping):
            name = names.pop(key, next(iter(kind)))
            if name not in kind:
                raise InputError(f'config.{key}.name={name!r}: {nearest(name, kind)}')
            kind = kind[name]
        sections[key] = _default_values(kind)
    for key, name in names.items():
        network = find_module('sr_jax.models', name, f'config.{key}.name', 'Model').Model
        values = _default_values(network)
        sections[key] = {'name': name, **{k: v for k, v in values.items() if k not in NOT_KEYS}}
    return ml_collections.ConfigDict(sections)


def completed(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """Returns a config with every key that it lacks at its default.

    So a run that was saved before a key was there is the run that it was: a key that is added
    has the default that keeps what was computed.

    Raises:
      InputError: no such task, network or kind; names the nearest.
    """
    names = chosen_names(config)
    tables: set[str] = set()
    for key, kind in _task_sections(config.task).items():
        if isinstance(kind, Mapping):
            kind = kind[names.get(key, next(iter(kind)))]
        tables |= {f'{key}.{name}' for name in _tables(kind)}
    return _filled(config, defaults(config.task, **names), tables)


def _filled(
    config: Section, standard: Section, tables: Set[str], path: str = ''
) -> ml_collections.ConfigDict:
    """Returns a section with what it lacks, but for its tables, whose keys are anybody's."""
    values = {**standard, **config}
    for key, value in config.items():
        where = f'{path}{key}'
        both = isinstance(value, Section) and isinstance(standard.get(key), Section)
        if both and where not in tables:
            values[key] = _filled(value, standard[key], tables, f'{where}.')
    return ml_collections.ConfigDict(values)


def _tables(target: type) -> Iterator[str]:
    """Yields the names of a dataclass's fields that are mappings, also of those in its fields."""
    for field in config_fields(target):
        if field.default_factory is dataclasses.MISSING:
            continue
        value = field.default_factory()
        if isinstance(value, Mapping):
            yield field.name
        elif dataclasses.is_dataclass(value):
            yield from (f'{field.name}.{name}' for name in _tables(type(value)))


def chosen_names(config: ml_collections.ConfigDict) -> dict[str, str]:
    """Returns the names that `defaults` was given for the sections of a config.

    Raises:
      InputError: no such task.
    """
    kinds = _task_sections(config.task)
    standard = {
        key: next(iter(kind)) if isinstance(kind, Mapping) else None for key, kind in kinds.items()
    }
    return {
        key: section['name']
        for key, section in config.items()
        if isinstance(section, Section)
        and section.get('name')
        and standard.get(key, '') not in (None, section['name'])
    }


def check_variant(variant: str, variants: Sequence[str], file: str) -> None:
    """Raises InputError unless a config has the variant.

    Args:
      variant: what was asked for.
      variants: those that there are.
      file: of the config, for the message.
    """
    if variant not in variants:
        name = Path(file).stem
        raise InputError(f'no variant {variant!r} of {name}; valid: {", ".join(variants)}')


def _task_sections(task: str) -> dict[str, Any]:
    """Returns the sections of a task's config but for its networks: dataclasses, or several."""
    module = find_module('sr_jax.tasks', task, 'config.task', 'make')
    return {**module.OWN_SECTIONS, **SHARED}


def _default_values(target: type) -> dict[str, Any]:
    """Returns the defaults of a dataclass or linen module; a field without one is left out."""
    values = {}
    for field in config_fields(target):
        if field.default is not dataclasses.MISSING:
            values[field.name] = _as_section(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            values[field.name] = _as_section(field.default_factory())
    return values


def _as_section(value: Any) -> Any:
    """Returns a value as a config holds it: a dataclass or a mapping becomes a dict."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _as_section(item) for key, item in value.items()}
    return value
