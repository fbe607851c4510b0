"""Prints the config of an experiment: what differs from the defaults of its task, or all of it.

  python -m sr_jax config configs/esrgan.py:real
  python -m sr_jax config configs/esrgan.py:real --all --config.train.steps=10

Without --all it begins with the call of `defaults` that the rest differs from, so that the lines
are the body of a config. Changes are made as in training, by --config.KEY=VALUE.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from sr_jax.config.binding import Section
from sr_jax.config.command_line import make_config_flags, parse_flags
from sr_jax.config.defaults import chosen_names, defaults
from sr_jax.errors import exit_status


def main(argv: Sequence[str]) -> int:
    """Prints the config, a line for each key, and returns the exit status.

    Args:
      argv: the program's name, and its arguments.
    """
    program, *words = argv
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        program, description=__doc__, formatter_class=raw, allow_abbrev=False
    )
    parser.add_argument(
        'config',
        metavar='PATH[:VARIANT]',
        help='such as configs/vqvae.py or configs/vqvae.py:demo; or the folder of a run',
    )
    parser.add_argument('--all', action='store_true', help='print every key')
    arguments, changes = parser.parse_known_args(words)
    return exit_status(lambda: _print(arguments.config, changes, arguments.all))


def _print(path: str, changes: Sequence[str], everything: bool) -> int:
    """Prints the lines.

    Raises:
      InputError: no such config, variant or key, or a value of the wrong type.
    """
    config = parse_flags(['config', '--config', path, *changes], make_config_flags).config
    if everything:
        print('\n'.join(describe(config, {})))
        return 0
    names = chosen_names(config)
    call = ', '.join([repr(config.task), *(f'{key}={name!r}' for key, name in names.items())])
    print(f'config = defaults({call})', *describe(config, defaults(config.task, **names)), sep='\n')
    return 0


def describe(section: Section, standard: Section, path: str = 'config') -> Iterator[str]:
    """Yields 'config.train.steps = 10' for each key that differs from a standard.

    A section is gone into where it has the same keys there, or there is no such section.
    """
    for key in section:
        value, name = section[key], f'{path}.{key}'
        other: Any = standard.get(key, {})
        if isinstance(value, Section) and value and (not other or set(value) == set(other)):
            yield from describe(value, other, name)
        elif key not in standard or value != other:
            yield f'{name} = {value.to_dict() if hasattr(value, "to_dict") else value!r}'
