"""Trains the network of a config.

  python -m sr_jax.main --config configs/vqvae.py
  python -m sr_jax.main --config configs/vqvae.py:imagenet --config.train.batch_size=16

What follows a colon is the variant, and any value of the config can be changed on the command line.
A run can be the config, by its folder or its config.json: it is repeated then, in the --workdir.
`sr-jax train` is the same.

On many machines every process is started with the same command and `--distributed`, or with
`--coordinator`, `--processes` and `--process`; the workdir is one that all of them share.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from sr_jax.config.command_line import config_arguments, make_config_flags, parse_flags
from sr_jax.config.files import is_run
from sr_jax.devices.distributed import Processes, run_together
from sr_jax.devices.freed_memory import keep_freed_memory
from sr_jax.devices.kept_programs import keep_programs
from sr_jax.errors import InputError, exit_status
from sr_jax.training import loop
from sr_jax.training.progress import FORMATS


def make_flags(argv: Sequence[str]) -> flags.FlagValues:
    """Returns the flags, not yet parsed; those of the config's keys are found in `argv`."""
    values = make_config_flags(argv)
    flags.DEFINE_string(
        'workdir',
        None,
        'folder of the run: checkpoints, samples, TensorBoard (default: runs/<config>_<variant>); '
        'a run that is there already resumes',
        flag_values=values,
    )
    flags.DEFINE_enum(
        'log-format',
        'text',
        FORMATS,
        'text for people, or json: one object a line',
        flag_values=values,
    )
    flags.DEFINE_bool(
        'no-cache', False, 'keep no compiled programs, and use none', flag_values=values
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
    values = parse_flags(argv, make_flags)
    if values.config is None:
        raise InputError('say what to train, such as --config configs/vqvae.py; see --help')
    if not values['no-cache'].value:
        keep_programs()
    workdir = values.workdir or default_workdir(config_arguments(argv)[0])

    def run() -> int:
        keep_freed_memory()
        result = loop.train(values.config, workdir, str(values['log-format'].value))
        return 0 if result.stopped_by is None else 128 + result.stopped_by

    return run_together(_read_processes(values), run)


def _read_processes(values: flags.FlagValues) -> Processes:
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
    """Returns 'runs/vqvae_demo' for 'configs/vqvae.py:demo'.

    Raises:
      InputError: the config is that of a run, which may be repeated or gone on with.
    """
    path, _, variant = config.partition(':')
    if is_run(path):
        raise InputError(
            f'--config {config} is that of a run: say by --workdir where it is repeated, or '
            "give the run's own folder, and it resumes"
        )
    return f'runs/{Path(path).stem}' + (f'_{variant}' if variant else '')
