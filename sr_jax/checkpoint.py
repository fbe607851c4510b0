"""Checkpoints: Orbax, asynchronous, keep-last and keep-best, with the config beside the state.

A checkpoint holds the train state, the run's random key, the position of the data iterator, the
resolved config and a fingerprint of every array, so that damage is noticed when it is read.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import orbax.checkpoint as ocp
from jaxtyping import Array, PyTree, UInt32
from orbax.checkpoint.checkpoint_managers import (
    AnyPreservationPolicy,
    BestN,
    LatestN,
)

from sr_jax import config as config_lib
from sr_jax.errors import InputError

FOLDER = 'checkpoints'
HIGHER_IS_BETTER = {'mse': False, 'psnr': True, 'ssim': True}


@dataclasses.dataclass(frozen=True)
class CheckpointSettings:
    """The section `config.checkpoint`.

    Attributes:
      every: updates between two checkpoints; there is one at the end in any case.
      keep_last: so many of the newest are kept.
      keep_best: and so many of the best by `best_metric`.
      best_metric: 'mse', 'psnr' or 'ssim' of the validation pictures.
    """

    every: int
    keep_last: int
    keep_best: int
    best_metric: str

    def __post_init__(self):
        if self.best_metric not in HIGHER_IS_BETTER:
            hint = config_lib.nearest(self.best_metric, HIGHER_IS_BETTER)
            raise InputError(f'config.checkpoint.best_metric={self.best_metric!r}: {hint}')
        for key, least in (('every', 1), ('keep_last', 1), ('keep_best', 0)):
            if getattr(self, key) < least:
                raise InputError(f'config.checkpoint.{key} must be at least {least}')


class DamagedCheckpoint(InputError):
    """A checkpoint that cannot be read, or whose arrays are not those that were saved."""


class Restored(NamedTuple):
    """What a checkpoint held.

    Attributes:
      step: updates done.
      tree: the arrays, in the structure that was asked for.
      config: the resolved config that was saved with it.
      data: position of the data iterator.
      folder: the checkpoint's own folder.
    """

    step: int
    tree: PyTree
    config: ml_collections.ConfigDict
    data: dict[str, Any]
    folder: Path


class Checkpoints:
    """The checkpoints of one run, in `<workdir>/checkpoints/<step>`.

    Args:
      workdir: the run's folder.
      settings: None to read only.
    """

    def __init__(self, workdir: Path, settings: CheckpointSettings | None = None):
        self.folder = Path(workdir).absolute() / FOLDER
        options: dict[str, Any] = {'read_only': True, 'save_interval_steps': 0}
        if settings is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            options = {'preservation_policy': _preservation(settings), 'create': False}
        self._manager = ocp.CheckpointManager(
            self.folder,
            item_names=('state', 'run'),
            options=ocp.CheckpointManagerOptions(**options),
        )

    def save(
        self,
        step: int,
        tree: PyTree,
        *,
        config: ml_collections.ConfigDict,
        data: dict[str, Any],
        metrics: dict[str, float] | None,
    ) -> None:
        """Starts to write a checkpoint; returns when the arrays may change again.

        Raises:
          OSError: the one before it could not be written (full disk, folder gone).
        """
        fingerprint = [int(x) for x in jax.device_get(_fingerprints(tree))]
        run = {'config': config_lib.to_json(config), 'data': data, 'fingerprint': fingerprint}
        args = ocp.args.Composite(state=ocp.args.StandardSave(tree), run=ocp.args.JsonSave(run))
        self._manager.save(step, args=args, metrics=metrics, force=True)

    def wait(self) -> None:
        """Waits until everything is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, and ends the background threads."""
        self._manager.close()

    def steps(self) -> list[int]:
        """Returns the steps that have a complete checkpoint, ascending."""
        return sorted(self._manager.all_steps())

    def best_step(self, metric: str) -> int | None:
        """Returns the step with the best value of a metric among those kept with metrics."""
        values = {step: self._manager.metrics(step) for step in self.steps()}
        measured = {step: _metric(value, metric) for step, value in values.items() if value}
        choose = max if HIGHER_IS_BETTER[metric] else min
        return choose(measured, key=lambda step: measured[step]) if measured else None

    def unfinished(self) -> list[Path]:
        """Returns the folders of checkpoints whose writing was interrupted."""
        return sorted(self.folder.glob('*.orbax-checkpoint-tmp*'))

    def config(self, step: int) -> ml_collections.ConfigDict:
        """Returns the resolved config that was saved with a step."""
        return config_lib.from_json(self._read(step, 'run', ocp.args.JsonRestore())['config'])

    def restore(
        self, step: int, abstract: Callable[[ml_collections.ConfigDict], PyTree]
    ) -> Restored:
        """Returns the checkpoint of a step.

        Args:
          abstract: the config that was saved -> `jax.ShapeDtypeStruct`s with shardings, in the
            structure of the tree that was saved.

        Raises:
          DamagedCheckpoint: names it and what is wrong.
        """
        folder = self.folder / str(step)
        run = self._read(step, 'run', ocp.args.JsonRestore())
        config = config_lib.from_json(run['config'])
        tree = self._read(step, 'state', ocp.args.StandardRestore(abstract(config)))
        actual = [int(x) for x in jax.device_get(_fingerprints(tree))]
        names = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(tree)]
        wrong = [n for n, a, b in zip(names, actual, run['fingerprint'], strict=True) if a != b]
        if wrong:
            raise DamagedCheckpoint(
                f'checkpoint {folder} is damaged: {len(wrong)} arrays differ from what was saved, '
                f'first {wrong[0]}'
            )
        return Restored(step, tree, config, run['data'], folder)

    def _read(self, step: int, item: str, args: Any) -> Any:
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**{item: args}))[item]
        except Exception as error:  # Orbax and TensorStore raise a dozen kinds for damaged files
            reason = (str(error).strip() or repr(error)).splitlines()[0][:300]
            folder = self.folder / str(step)
            raise DamagedCheckpoint(f'checkpoint {folder} is damaged: {reason}') from error

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
          set_aside: rename damaged ones to 'damaged-<step>', so that the run can save that step
            again.

        Raises:
          InputError: there are checkpoints, but all are damaged.
        """
        for path in self.unfinished():
            report(f'checkpoint {path} was never finished and is not used')
        steps = self.steps()
        for step in reversed(steps):
            try:
                return self.restore(step, abstract)
            except DamagedCheckpoint as error:
                report(f'{error}; trying the one before it')
                if set_aside:
                    (self.folder / str(step)).rename(self.folder / f'damaged-{step}')
                    self._manager.reload()
        if steps:
            raise InputError(
                f'no checkpoint in {self.folder} can be read: all {len(steps)} are damaged. '
                'Start again in another --workdir'
            )
        return None


def _preservation(settings: CheckpointSettings) -> AnyPreservationPolicy:
    metric = settings.best_metric
    best = BestN(
        get_metric_fn=lambda metrics: _metric(metrics, metric),
        reverse=not HIGHER_IS_BETTER[metric],
        n=settings.keep_best,
        keep_checkpoints_without_metrics=False,
    )
    return AnyPreservationPolicy([LatestN(settings.keep_last), best])


def _metric(metrics: dict[str, float], name: str) -> float:
    """Returns 'psnr' of {'psnr_rgb_crop4': ...}: the metric whatever its protocol."""
    return next(v for k, v in metrics.items() if k == name or k.startswith(f'{name}_'))


@jax.jit
def _fingerprints(tree: PyTree) -> UInt32[Array, ' leaves']:
    """Returns a number for each array that any changed bit changes.

    sum_i (2 i + 1) * bits_i modulo 2^32: the factors are odd, so that one flipped bit never
    cancels; integer sums do not depend on their order, so neither on the sharding.
    """
    return jnp.stack([_fingerprint(x) for x in jax.tree.leaves(tree)])


def _fingerprint(x: Array) -> UInt32[Array, '']:
    if x.dtype == jnp.bool_:
        bits = x
    else:
        unsigned = jnp.dtype(f'uint{8 * x.dtype.itemsize}')
        bits = jax.lax.bitcast_convert_type(x, unsigned)
    bits = bits.astype(jnp.uint32).reshape(-1)
    factors = 2 * jax.lax.iota(jnp.uint32, bits.size) + 1
    return jnp.sum(bits * factors, dtype=jnp.uint32)


def find(path: str | Path) -> tuple[Checkpoints, int | None]:
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
    if path.name.isdigit() and path.parent.name == FOLDER:
        workdir, step = path.parent.parent, int(path.name)
    elif path.name == FOLDER:
        workdir = path.parent
    if not (workdir / FOLDER).is_dir():
        raise InputError(f'{path} is not a run: it has no folder {FOLDER!r}')
    found = Checkpoints(workdir)
    if not found.steps():
        raise InputError(f'{workdir / FOLDER} holds no finished checkpoint')
    return found, step
