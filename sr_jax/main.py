"""Trains the network of a config: `python -m sr_jax.main --config configs/vqvae.py`.

Any value of the config can be changed on the command line: `--config.train.batch_size=16`; what
follows a colon is the variant: `--config configs/vqvae.py:imagenet`.

On many machines every process is started with the same command and `--distributed`, or with
`--coordinator`, `--processes` and `--process`; the workdir is one that all of them share.
"""

import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from sr_jax.devices.distributed import Processes, run_together
from sr_jax.errors import InputError, exit_status
from sr_jax.training import loop
from sr_jax.training.progress import FORMATS


def make_flags(argv: Sequence[str]) -> flags.FlagValues:
    """Returns the flags, not yet parsed; those of the config's keys are found in `argv`."""
    values = flags.FlagValues()
    config_flags.DEFINE_config_file(
        'config',
        None,
        'the experiment, such as configs/vqvae.py or configs/vqvae.py:imagenet',
        flag_values=values,
        sys_argv=list(argv),
    )
    flags.DEFINE_string(
        'workdir',
        None,
        'folder of the run: checkpoints, samples, TensorBoard (default: runs/<config>_<variant>); '
        'a run that is there already goes on',
        flag_values=values,
    )
    flags.DEFINE_enum(
        'log-format',
        'text',
        FORMATS,
        'text for people, or json: one object a line',
        flag_values=values,
    )
    _define_processes(values)
    return values


def _define_processes(values: flags.FlagValues) -> None:
    """Adds the flags for a run of many processes."""
    defaults = Processes()
    flags.DEFINE_bool(
        'distributed',
        False,
        'one of many processes, started by Slurm, MPI or a cluster that JAX knows; they find each '
        'other by themselves',
        flag_values=values,
    )
    flags.DEFINE_string(
        'coordinator',
        '',
        'one of many processes: host:port on which process 0 listens, the same for all of them',
        flag_values=values,
    )
    flags.DEFINE_integer('processes', None, 'with it: how many there are', flag_values=values)
    flags.DEFINE_integer('process', None, 'with it: which this is, from 0', flag_values=values)
    flags.DEFINE_integer(
        'connect-timeout',
        defaults.connect_timeout,
        'seconds that the processes have to meet',
        flag_values=values,
    )
    flags.DEFINE_float(
        'silence',
        defaults.silence,
        'seconds without a sign of life after which a process counts as lost, and the others end',
        flag_values=values,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the training that the flags ask for and returns the exit status.

    0: trained to the end; 1: an error, told in one message; 128 + n: stopped by signal n, with a
    checkpoint (143 after SIGTERM, 130 after Ctrl-C).
    """
    return exit_status(lambda: _train(list(sys.argv if argv is None else argv)))


def _train(argv: list[str]) -> int:
    if {'--help', '-help', '-h'} & set(argv):
        print(__doc__, make_flags(argv).get_help(), sep='\n')
        return 0
    values = _parse(argv)
    if values.config is None:
        raise InputError('say what to train, such as --config configs/vqvae.py; see --help')
    workdir = values.workdir or default_workdir(_config_arguments(argv)[0])

    def run() -> int:
        result = loop.train(values.config, workdir, str(values['log-format'].value))
        return 0 if result.stopped_by is None else 128 + result.stopped_by

    return run_together(_processes(values), run)


def _processes(values: flags.FlagValues) -> Processes:
    """Returns what the flags say of the processes; raises InputError when that is half."""
    return Processes(
        coordinator=values.coordinator,
        count=values.processes,
        index=values.process,
        detect=values.distributed,
        connect_timeout=int(values['connect-timeout'].value or 0),
        silence=values.silence,
    )


def default_workdir(config: str) -> str:
    """Returns 'runs/vqvae_demo' for 'configs/vqvae.py:demo'."""
    path, _, variant = config.partition(':')
    return f'runs/{Path(path).stem}' + (f'_{variant}' if variant else '')


def _config_arguments(argv: Sequence[str]) -> list[str]:
    """Returns each value of --config as it was written."""
    found = []
    for i, word in enumerate(argv):
        name, equals, value = word.partition('=')
        if name in ('--config', '-config'):
            found.append(value if equals else ''.join(argv[i + 1 : i + 2]))
    return found


def _parse(argv: list[str]) -> flags.FlagValues:
    """Returns the parsed flags.

    Raises:
      InputError: no such config, flag or key, or a value of the wrong type.
    """
    given = _config_arguments(argv)
    if len(given) > 1:
        raise InputError(f'--config is given {len(given)} times: {", ".join(given)}')
    argument = ''.join(given)
    path = argument.partition(':')[0]
    if given and not Path(path).is_file():
        raise InputError(f'no config {path}: {_nearest_config(path)}')
    values = make_flags(argv)
    try:
        rest = values(argv)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        # the latter are what ml_collections raises for a key that the config does not have
        raise InputError(_plain(error, argument)) from error
    if rest[1:]:
        raise InputError(f'not a flag: {" ".join(rest[1:])}')
    return values


def _plain(error: Exception, config: str) -> str:
    """Returns an error of absl or ml_collections as one line."""
    lines = [line for line in str(error.args[0] if error.args else error).splitlines() if line]
    if len(lines) > 1 and any(line.startswith('Traceback') for line in lines):
        return f'--config {config}: {lines[-1].partition(": ")[2] or lines[-1]}'
    if isinstance(error, flags.Error):
        return ' '.join(lines)
    guess = re.search('Did you mean "(.*)" instead of "(.*)"', str(error))
    if guess:
        return f'--config {config} has no key {guess[2]!r}: did you mean {guess[1]!r}?'
    if isinstance(error, (AttributeError, KeyError)):
        return f'--config {config} has no key {" ".join(lines)}'
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


if __name__ == '__main__':
    sys.exit(main())
