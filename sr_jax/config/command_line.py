"""The config that a command line names, with the values that it changes.

`--config configs/vqvae.py:imagenet` names a file and its variant, `--config runs/vqvae` a run to
repeat; `--config.train.batch_size=16` changes a value.
"""

import difflib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags

from sr_jax.config.files import read_config
from sr_jax.errors import InputError


def make_config_flags(argv: Sequence[str]) -> flags.FlagValues:
    """Returns the flags of a config, not yet parsed; those of its keys are found in `argv`."""
    values = flags.FlagValues()
    config_flags.DEFINE_config_file(
        'config',
        None,
        'the experiment, such as configs/vqvae.py or configs/vqvae.py:imagenet; or a run to '
        'repeat, by its folder or its config.json',
        flag_values=values,
        sys_argv=list(argv),
    )
    values['config'].parser = _ConfigParser()
    return values


class _ConfigParser(flags.ArgumentParser):
    """Reads a config as `read_config` does, in place of ml_collections."""

    def parse(self, argument: str) -> ConfigDict:
        """Returns the locked config of a path, or of a path, a colon and a variant."""
        file, colon, variant = argument.partition(':')
        return read_config(file, variant if colon else None).lock()


def parse_flags(
    argv: Sequence[str], make_flags: Callable[[Sequence[str]], flags.FlagValues]
) -> flags.FlagValues:
    """Returns the parsed flags, of which 'config' is the config, or None.

    Args:
      argv: the command line, the program's name first.
      make_flags: returns the flags that there are for a command line.

    Raises:
      InputError: no such config, flag or key, or a value of the wrong type.
    """
    given = config_arguments(argv)
    if len(given) > 1:
        raise InputError(f'--config is given {len(given)} times: {", ".join(given)}')
    argument = ''.join(given)
    path = argument.partition(':')[0]
    if given and not Path(path).exists():
        raise InputError(f'no config {path}: {_nearest_config(path)}')
    try:
        values = make_flags(argv)
        rest = values(list(argv))
    except InputError as error:  # of the config file itself
        raise InputError(f'--config {argument}: {error}') from error
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        # the latter are what ml_collections raises for a key that the config does not have
        raise InputError(_one_line(error, argument)) from error
    if rest[1:]:
        raise InputError(f'not a flag: {" ".join(rest[1:])}')
    return values


def config_arguments(argv: Sequence[str]) -> list[str]:
    """Returns each value of --config as it was written."""
    found = []
    for i, word in enumerate(argv):
        name, equals, value = word.partition('=')
        if name in ('--config', '-config'):
            found.append(value if equals else ''.join(argv[i + 1 : i + 2]))
    return found


def _one_line(error: Exception, config: str) -> str:
    """Returns what an error of absl or ml_collections says as one line."""
    lines = [line for line in str(error.args[0] if error.args else error).splitlines() if line]
    if isinstance(error, flags.Error):
        return ' '.join(lines)
    guess = re.search('Did you mean "(.*)" instead of "(.*)"', str(error))
    if guess:
        return f'--config {config} has no key {guess[2]!r}: did you mean {guess[1]!r}?'
    if isinstance(error, (AttributeError, KeyError)):
        lookup = re.search('Attempting to lookup: (.*)', str(error))  # below what is no section
        key = (lookup[1] if lookup else ' '.join(lines)).strip('\'"')
        return f'--config {config} has no key {key!r}: sr-jax config {config} --all prints all keys'
    return f'--config {config}: {" ".join(lines)}'


def _nearest_config(path: str) -> str:
    """Returns the config file nearest to a path that does not exist, as a question."""
    folder = Path(path).parent
    folder = folder if folder.is_dir() and any(folder.glob('*.py')) else Path('configs')
    names = sorted(p.name for p in folder.glob('*.py'))
    if not names:
        return 'there is no folder configs/ here; give the path of a config file'
    close = difflib.get_close_matches(Path(path).name, names, n=1, cutoff=0.0)
    return f'did you mean {folder / close[0]}? There are: {", ".join(names)}'
