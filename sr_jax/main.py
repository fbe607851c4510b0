"""Trains the network of a config: `python -m sr_jax.main --config configs/vqvae.py`.

Any value of the config can be changed on the command line: `--config.train.batch_size=16`; what
follows a colon is the variant: `--config configs/vqvae.py:imagenet`.
"""

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

from sr_jax.commands import train
from sr_jax.errors import InputError, exit_status
from sr_jax.progress import FORMATS

_CONFIG = config_flags.DEFINE_config_file(
    'config', None, 'the experiment, such as configs/vqvae.py or configs/vqvae.py:imagenet'
)
_WORKDIR = flags.DEFINE_string(
    'workdir',
    None,
    'folder of the run: checkpoints, samples, TensorBoard (default: runs/<config>_<variant>); '
    'a run that is there already goes on',
)
_LOG_FORMAT = flags.DEFINE_enum(
    'log-format', 'text', FORMATS, 'text for people, or json: one object a line'
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the training that the flags ask for and returns the exit status.

    0: trained to the end; 1: an error, told in one message; 128 + n: stopped by signal n, with a
    checkpoint (143 after SIGTERM, 130 after Ctrl-C).
    """
    return exit_status(lambda: _train(list(sys.argv if argv is None else argv)))


def _train(argv: list[str]) -> int:
    _parse(argv)
    if _CONFIG.value is None:
        raise InputError(f'say what to train: --config {_nearest_config("vqvae.py")}')
    workdir = _WORKDIR.value or default_workdir(_config_argument(argv))
    result = train.train(_CONFIG.value, workdir, _LOG_FORMAT.value)
    return 0 if result.stopped_by is None else 128 + result.stopped_by


def default_workdir(config: str) -> str:
    """Returns 'runs/vqvae_demo' for 'configs/vqvae.py:demo'."""
    path, _, variant = config.partition(':')
    return f'runs/{Path(path).stem}' + (f'_{variant}' if variant else '')


def _config_argument(argv: Sequence[str]) -> str:
    """Returns the value of --config as it was written, '' if it was not."""
    for i, word in enumerate(argv):
        name, equals, value = word.partition('=')
        if name in ('--config', '-config'):
            return value if equals else ''.join(argv[i + 1 : i + 2])
    return ''


def _parse(argv: list[str]) -> None:
    """Parses the flags.

    Raises:
      InputError: no such config, flag or key, or a value of the wrong type.
    """
    argument = _config_argument(argv)
    path = argument.partition(':')[0]
    if path and not Path(path).is_file():
        raise InputError(f'no config {path}: {_nearest_config(path)}')
    app.define_help_flags()
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        raise InputError(str(error)) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # ml_collections raises these for a key that the config does not have, and so on
        raise InputError(f'--config {argument}: {_plain(error)}') from error
    if rest[1:]:
        raise InputError(f'not a flag: {" ".join(rest[1:])}')


def _plain(error: Exception) -> str:
    text = str(error.args[0]) if error.args else repr(error)
    return text.strip('\'"').replace('\\n', ' ').replace("'\n", "': ").replace('\n', ' ')


def _nearest_config(path: str) -> str:
    """Returns the config file nearest to a path that does not exist, as a question."""
    folder = Path(path).parent
    folder = folder if folder.is_dir() and any(folder.glob('*.py')) else Path('configs')
    names = sorted(p.name for p in folder.glob('*.py'))
    if not names:
        return 'there is no folder configs/ here; give the path of a config file'
    close = difflib.get_close_matches(Path(path).name, names, n=1, cutoff=0.0)
    return f'did you mean {folder / close[0]}? There are: {", ".join(names)}'


if __name__ == '__main__':
    sys.exit(main())
