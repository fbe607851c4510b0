"""Checkpoints: Orbax, asynchronous, keep-last and keep-best, with the config beside the state.

A checkpoint holds the train state, the run's random key, the position of the data iterator, the
resolved config and a fingerprint of every array, so that damage is noticed when it is read.
"""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_collections
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from sr_jax.checkpoints import corruption, disk, metadata
from sr_jax.checkpoints.fingerprint import fingerprints
from sr_jax.checkpoints.metadata import Record
from sr_jax.checkpoints.retention import comparable, metric_of, preservation
from sr_jax.config.settings import CheckpointSettings
from sr_jax.devices import distributed
from sr_jax.errors import InputError, first_line

FOLDER = 'checkpoints'


class DamagedCheckpoint(InputError):
    """A checkpoint that cannot be read, or whose arrays are not those that were saved."""


class Restored(NamedTuple):
    """What a checkpoint held.

    Attributes:
      step: updates done.
      tree: the arrays, in the structure that was asked for.
      config: the resolved config that was saved with it.
      data: position of the data iterator; None if there was none.
      folder: the checkpoint's own folder.
    """

    step: int
    tree: PyTree
    config: ml_collections.ConfigDict
    data: dict[str, Any] | None
    folder: Path


class Checkpoints:
    """The checkpoints of one run, in `<workdir>/checkpoints/<step>`.

    Args:
      workdir: the run's folder.
      settings: None to read only.
      higher_is_better: whether more is better of `settings.best_metric`.
    """

    def __init__(
        self,
        workdir: Path,
        settings: CheckpointSettings | None = None,
        higher_is_better: bool = False,
    ):
        self.folder = Path(workdir).absolute() / FOLDER
        self._found_damaged: list[str] = []
        options: dict[str, Any] = dict(corruption.READ_ONLY)
        if settings is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._set_aside_unreadable()
            options = {
                'preservation_policy': preservation(settings, higher_is_better),
                # without it Orbax does not write the metrics that the policy needs later on
                'best_fn': lambda metrics: metric_of(metrics, settings.best_metric),
                'create': False,
            }
        with corruption.quiet_reading():
            self._manager = ocp.CheckpointManager(
                self.folder,
                item_names=corruption.ITEMS,
                options=ocp.CheckpointManagerOptions(**options),
            )
        self._reader = self._manager if jax.process_count() == 1 else corruption.reader(self.folder)

    def save(
        self,
        step: int,
        tree: PyTree,
        *,
        config: ml_collections.ConfigDict,
        data: dict[str, Any] | None,
        metrics: dict[str, float] | None,
    ) -> None:
        """Starts to write a checkpoint; returns when the arrays may change again.

        Args:
          step: updates done.
          tree: the arrays.
          config: the resolved config of the run.
          data: position of the data iterator; None if there is none.
          metrics: of the validation after this step; None if there was none.

        Raises:
          InputError: this one or the one before it could not be written; says why.
        """
        run = metadata.serialize(Record(config, data, fingerprints(tree)))
        args = ocp.args.Composite(state=ocp.args.StandardSave(tree), run=ocp.args.JsonSave(run))
        self.wait()
        disk.check_space(self.folder, tree)
        with disk.translate_errors(self.folder):
            self._manager.save(step, args=args, metrics=metrics, force=True)

    def wait(self) -> None:
        """Waits until everything is on disk.

        Raises:
          InputError: a checkpoint could not be written; says why.
        """
        with disk.translate_errors(self.folder):
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, and ends the background threads."""
        with disk.translate_errors(self.folder):
            self._manager.close()

    def steps(self) -> list[int]:
        """Returns the steps that have a complete checkpoint, ascending."""
        return sorted(self._manager.all_steps())

    def best_step(self, metric: str, higher_is_better: bool) -> int | None:
        """Returns the step with the best value of a metric among those kept with metrics.

        Raises:
          InputError: one of these was validated by other metrics.
        """
        values = {step: self._read_metrics(step) for step in self.steps()}
        try:
            measured = {
                step: comparable(metric_of(value, metric), higher_is_better)
                for step, value in values.items()
                if value
            }
        except InputError as error:
            raise InputError(f'{self.folder}: {error}') from error
        choose = max if higher_is_better else min
        return choose(measured, key=lambda step: measured[step]) if measured else None

    def _read_metrics(self, step: int) -> dict[str, float]:
        """Returns the metrics of a checkpoint, none when they are damaged."""
        path = metadata.metrics_path(self.folder / str(step))
        try:
            return metadata.read_metrics(path) if path.exists() else {}
        except (ValueError, OSError):
            return {}

    def _set_aside_unreadable(self) -> None:
        """Sets aside checkpoints of which Orbax could not even be told."""
        damaged = corruption.find_unreadable(self.folder)
        self._found_damaged = [
            f'checkpoint {self.folder / str(step)} is damaged: {why}'
            for step, why in damaged.items()
        ]
        distributed.agree('')  # all have looked
        for step in damaged:
            self._rename(step)
        distributed.agree('')  # nobody continues before that is done

    def find_unfinished(self) -> list[Path]:
        """Returns the folders of checkpoints whose writing was interrupted."""
        return sorted(self.folder.glob('*.orbax-checkpoint-tmp*'))

    def config(self, step: int) -> ml_collections.ConfigDict:
        """Returns the resolved config that was saved with a step."""
        return self._read_record(step).config

    def restore(
        self, step: int, abstract: Callable[[ml_collections.ConfigDict], PyTree]
    ) -> Restored:
        """Returns the checkpoint of a step.

        Args:
          step: one of `steps()`.
          abstract: the config that was saved -> `jax.ShapeDtypeStruct`s with shardings, in the
            structure of the tree that was saved.

        Raises:
          DamagedCheckpoint: names it and what is wrong.
          InputError: another version of sr_jax made it.
        """
        folder = self.folder / str(step)
        saved = self._read_record(step)
        tree = self._read(step, 'state', ocp.args.StandardRestore(abstract(saved.config)))
        names = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(tree)]
        if len(names) != len(saved.fingerprints):
            raise DamagedCheckpoint(
                f'checkpoint {folder} is damaged: of {len(names)} arrays '
                f'{len(saved.fingerprints)} have a fingerprint'
            )
        pairs = zip(names, fingerprints(tree), saved.fingerprints, strict=True)
        wrong = [name for name, actual, expected in pairs if actual != expected]
        if wrong:
            raise DamagedCheckpoint(
                f'checkpoint {folder} is damaged: {len(wrong)} arrays differ from what was saved, '
                f'first {wrong[0]}'
            )
        return Restored(step, tree, saved.config, saved.data, folder)

    def _read_record(self, step: int) -> Record:
        """Returns what lies beside the arrays, after a look whether it is what was saved."""
        return self._read(step, 'run', ocp.args.JsonRestore(), metadata.read)

    def _read(
        self, step: int, item: str, args: Any, check: Callable[[Any], Any] = lambda found: found
    ) -> Any:
        """Reads an item, each process for itself; when one of them cannot, it is an error for all.

        Args:
          check: returns what is to be made of it, or raises ValueError.

        Raises:
          DamagedCheckpoint: in every process alike.
        """
        problem, cause, found = '', None, None
        try:
            metadata.check_files(self.folder / str(step))
            restored = self._reader.restore(step, args=ocp.args.Composite(**{item: args}))
            found = check(restored[item])
        except Exception as error:  # Orbax and TensorStore raise a dozen kinds for damaged files
            problem, cause = first_line(error), error
        problem = distributed.agree(problem)
        if isinstance(cause, metadata.OtherFormat):
            raise InputError(f'checkpoint {self.folder / str(step)} was {problem}') from cause
        if problem:
            message = f'checkpoint {self.folder / str(step)} is damaged: {problem}'
            raise DamagedCheckpoint(message) from cause
        return found

    def restore_newest(
        self,
        abstract: Callable[[ml_collections.ConfigDict], PyTree],
        report: Callable[[str], None],
        set_aside: bool,
    ) -> Restored | None:
        """Returns the newest checkpoint that is whole, or None when there is none at all.

        Args:
          abstract: as in `restore`.
          report: called with a line about each unfinished or damaged checkpoint.
          set_aside: the run resumes: rename damaged ones to 'damaged-<step>', so that it can save
            that step again, and remove unfinished ones.

        Raises:
          InputError: there are checkpoints, but all are damaged.
        """
        for line in self._found_damaged:
            report(f'{line}; it is set aside')
        for path in self.find_unfinished():
            report(f'checkpoint {path} was never finished and is not used')
            if set_aside and distributed.is_first():
                shutil.rmtree(path)
        distributed.agree('')  # nobody continues before that is done
        steps = self.steps()
        for step in reversed(steps):
            try:
                return self.restore(step, abstract)
            except DamagedCheckpoint as error:
                report(f'{error}; trying the one before it')
                if set_aside:
                    self._set_aside(step)
        if steps:
            raise InputError(
                f'no checkpoint in {self.folder} can be read: all {len(steps)} are damaged. '
                'Start again in another --workdir'
            )
        return None

    def _set_aside(self, step: int) -> None:
        self._rename(step)
        distributed.agree('')  # nobody looks before that is done
        self._manager.reload()

    def _rename(self, step: int) -> None:
        """Gives a damaged checkpoint the first free name of 'damaged-<step>', '...-1', ..."""
        if distributed.is_first():
            names = (f'damaged-{step}' + (f'-{n}' if n else '') for n in itertools.count())
            free = next(name for name in names if not (self.folder / name).exists())
            (self.folder / str(step)).rename(self.folder / free)


def find_checkpoints(path: str | Path) -> tuple[Checkpoints, int | None]:
    """Returns the checkpoints behind a path that a person gave, and the step it names, if any.

    Args:
      path: a run's folder, its folder `checkpoints`, or one checkpoint in it.

    Raises:
      InputError: there is no checkpoint; names where it looked.
    """
    path = Path(path).absolute()
    if not path.exists():
        raise InputError(f'no such checkpoint: {path}')
    workdir, step = path, None
    if path.name.isdecimal() and path.parent.name == FOLDER:
        workdir, step = path.parent.parent, int(path.name)
    elif path.name == FOLDER:
        workdir = path.parent
    if not (workdir / FOLDER).is_dir():
        raise InputError(f'{path} is not a run: it has no folder {FOLDER!r}')
    found = Checkpoints(workdir)
    if not found.steps():
        raise InputError(f'{workdir / FOLDER} holds no finished checkpoint')
    return found, step
