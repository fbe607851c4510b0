"""The file that a config is read from: a Python file, or what a run has kept of its own config."""

import importlib.machinery
import importlib.util
import sys
import traceback
from pathlib import Path

import ml_collections

from sr_jax.config.defaults import completed
from sr_jax.config.serialization import from_json
from sr_jax.errors import InputError, first_line

RUN_CONFIG = 'config.json'  # in the folder of every run: its resolved config
_KINDS = (
    'a config is a Python file with get_config(), as those in configs/, or a run (its folder, or '
    f'the {RUN_CONFIG} in it), which is repeated then'
)
_MODULE = 'sr_jax_config_file'


def is_run(path: str | Path) -> bool:
    """Returns whether a config is that of a run: its folder, or the JSON file in it."""
    return Path(path).is_dir() or Path(path).suffix == '.json'


def read_config(path: str | Path, variant: str | None = None) -> ml_collections.ConfigDict:
    """Returns the config in a file, or that of a run with the defaults of keys that it lacks.

    Args:
      path: a Python file, the folder of a run, or the `config.json` in it.
      variant: is given to the `get_config` of a Python file; None = nothing is.

    Raises:
      InputError: it is no config; names the file, and where in it something is wrong.
    """
    path = Path(path)
    if not is_run(path):
        return _run_file(path, variant)
    if variant is not None:
        raise InputError(f'the config of a run has no variants: leave out :{variant}')
    return _read_run(path / RUN_CONFIG if path.is_dir() else path)


def _read_run(path: Path) -> ml_collections.ConfigDict:
    """Returns the config that a run has written."""
    if not path.is_file():
        raise InputError(f'the folder {path.parent} is no run: it has no {path.name}; {_KINDS}')
    try:
        config = from_json(path.read_text(encoding='utf-8'))
        if not isinstance(config.get('task'), str):
            raise ValueError("it has no key 'task'")
        return completed(config)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    except (AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f'{path} is no config of a run ({first_line(error)}): {_KINDS}') from error


def _run_file(path: Path, variant: str | None) -> ml_collections.ConfigDict:
    """Returns what the `get_config` of a Python file returns."""
    loader = importlib.machinery.SourceFileLoader(_MODULE, str(path))
    spec = importlib.util.spec_from_file_location(_MODULE, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module  # where the dataclasses of a file look for their module
    try:
        loader.exec_module(module)
        make = getattr(module, 'get_config', None)
        config = make(*(() if variant is None else (variant,))) if callable(make) else None
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # a file of the user's own may raise anything
        if isinstance(error, SyntaxError) and path.suffix != '.py':
            raise InputError(f'{path} is no config: {_KINDS}') from error
        raise InputError(_describe(error, path)) from error
    if make is None:
        raise InputError(f'{path} is no config, since it has no get_config(): {_KINDS}')
    if not isinstance(config, ml_collections.ConfigDict):
        raise InputError(
            f'{path}: get_config() must return an ml_collections.ConfigDict, such as '
            f'sr_jax.config.defaults.defaults makes, not {type(config).__name__}'
        )
    return config


def _describe(error: BaseException, path: Path) -> str:
    """Returns what an error in a file is, and its line there, as one line."""
    file: str | Path = path
    number: int | None = None
    if isinstance(error, SyntaxError):
        file, number = error.filename or path, error.lineno
        said = error.msg
    else:
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if Path(frame.filename) == path
        ]
        number, said = (lines or [None])[-1], first_line(error)
    where = f'{file}, line {number}' if number else str(file)
    return f'{where}: {type(error).__name__}: {said}'
