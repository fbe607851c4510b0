"""The verbs of `sr-jax`, one a file: `convert_to_switched.py` is `convert-to-switched`.

The first line of a file's docstring is its verb's help; the file is imported when the verb is
called. It has `add_arguments(parser)` and `run(arguments)`, or, where it reads the command line by
itself, `main(argv)`; these two return the exit status. Helpers are in `shared`.
"""

import ast
import importlib
import types
from pathlib import Path

from sr_jax.config.extension import extend

__path__ = extend(__path__, __name__)


def find_verbs() -> dict[str, str]:
    """Returns the help of each verb, a line, by its name, without importing any of them."""
    files = (path for folder in __path__ for path in sorted(Path(folder).glob('[!_]*.py')))
    return {path.stem.replace('_', '-'): _first_line(path) for path in files}


def load_verb(verb: str) -> types.ModuleType:
    """Returns the module of a verb."""
    return importlib.import_module(f'sr_jax.commands.{verb.replace("-", "_")}')


def _first_line(path: Path) -> str:
    """Returns the first line of the docstring of a file."""
    source = path.read_text(encoding='utf-8')
    return (ast.get_docstring(ast.parse(source)) or '').partition('\n')[0]
