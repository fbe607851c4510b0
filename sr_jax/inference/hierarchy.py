"""Images drawn from trained priors: the codes of both levels, and what stage 1 makes of them."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np
from jaxtyping import Float

from sr_jax import models
from sr_jax.checkpoints.run import load_run
from sr_jax.data.code_shards import FACTORS
from sr_jax.devices import sharding
from sr_jax.errors import InputError
from sr_jax.images.finite import check_finite, clip_finite
from sr_jax.inference import networks
from sr_jax.inference.code_sampling import Drawer, Given, Options, make_keys
from sr_jax.tasks.shared.stage_1 import check_fingerprint
from sr_jax.tasks.task import FROZEN

Codes = dict[str, np.ndarray]  # by level: [n, h, w]
REDRAW = ('lower', 'bottom')


class Level(NamedTuple):
    """A trained prior.

    Attributes:
      prior: its module.
      variables: what it has learned.
      source: the run that it is from.
    """

    prior: Any
    variables: dict[str, Any]
    source: str


class Hierarchy(NamedTuple):
    """The priors of one or both levels, and the stage 1 of both.

    Attributes:
      levels: by name; of two runs with a level each, of both.
      coder: the module of the stage 1.
      frozen: what that has learned.
      config: of the first run.
    """

    levels: dict[str, Level]
    coder: Any
    frozen: dict[str, Any]
    config: ml_collections.ConfigDict

    @property
    def classes(self) -> int:
        """How many classes the priors know."""
        return next(iter(self.levels.values())).prior.classes

    @property
    def size(self) -> int:
        """The side of an image in pixels."""
        return int(self.config.data.crop_size)


def load_hierarchy(paths: Sequence[str], best: bool = False) -> Hierarchy:
    """Loads what a run holds, or two runs of a level each.

    Raises:
      InputError: there is no such run, it is of another task, a level is there twice, or the runs
        are of different stages 1.
    """
    levels: dict[str, Level] = {}
    first: tuple[Any, Any] | None = None
    mesh = sharding.make_mesh(jax.devices()[:1])
    for path in paths:
        if not Path(path).is_dir():
            raise InputError(f'{path}: no such run: give the folder of a run of configs/prior.py')
        run = load_run(path, best=best, mesh=mesh, load=networks.load)
        if run.config.task != 'prior':
            raise InputError(
                f'{path} is a run of the task {run.config.task!r}, which draws no images: take one '
                'of configs/prior.py'
            )
        if first:
            expected = first[0].stage_1.fingerprint
            found = run.config.stage_1.fingerprint
            check_fingerprint(expected, found, f'the run {paths[0]}', f'the run {path}')
        for level, section in run.task.networks.items():
            if level in levels:
                raise InputError(
                    f'{path} and {levels[level].source} both hold the {level} level: take one'
                )
            prior = models.make(run.config[section], dtype=run.config.dtype)
            own = {key: value for key, value in run.variables[level].items() if key != FROZEN}
            levels[level] = Level(prior, own, path)
        frozen = run.variables[next(iter(run.task.networks))][FROZEN]
        first = first or (run.config, frozen)
    assert first is not None  # the command line wants a run at least
    config, frozen = first
    return Hierarchy(levels, models.make(config.stage_1.network), frozen, config)


class Painter:
    """Draws images, in batches of one size.

    Args:
      hierarchy: what is drawn from.
      options: how codes are drawn.
      seed: of all samples.
      label: their class; None: none.
      batch: how many are drawn at once. The last batch is filled up, so that each sample comes out
        of the same program and does not depend on how many are drawn.
    """

    def __init__(
        self, hierarchy: Hierarchy, options: Options, seed: int, label: int | None, batch: int
    ):
        self._seed, self._label, self._batch = seed, label, batch
        self._drawers = {
            name: Drawer(level.prior, level.variables, options)
            for name, level in hierarchy.levels.items()
        }
        self._decode = jax.jit(
            lambda codes: clip_finite(
                hierarchy.coder.apply(hierarchy.frozen, codes, method='decode')
            )
        )

    def paint(
        self,
        indices: Sequence[int],
        given: dict[str, Given],
        report: Callable[[int], Any] = lambda codes: None,
    ) -> Float[np.ndarray, 'n h w 3']:
        """Returns the samples of some numbers, at most a batch of them, in [0, 1].

        Args:
          indices: their numbers, which with the seed decide what they are.
          given: codes that are not drawn, of one image, by level.
          report: is told how many codes of each sample have been added.

        Raises:
          InputError: what stage 1 makes of the codes is not finite.
        """
        filled = np.resize(np.asarray(indices), self._batch)
        label = None if self._label is None else np.full(self._batch, self._label, np.int32)
        codes: Codes = {}
        for number, level in enumerate(FACTORS):
            known = given.get(level)
            if known is not None:
                known = Given(np.repeat(known.codes, self._batch, axis=0), known.known)
            if known is not None and known.known.all():
                codes[level] = known.codes
                continue
            above = codes['top'] if level == 'bottom' else None
            keys = make_keys(self._seed, filled, number)
            codes[level] = self._drawers[level](keys, above, label, known, report)
        images = np.asarray(self._decode(codes))[: len(indices)]
        check_finite(images, 'what the stage 1 makes of the drawn codes')
        return images


def encode(hierarchy: Hierarchy, image: Float[np.ndarray, 'h w 3']) -> Codes:
    """Returns the codes of an image of the size of the crops."""
    apply = functools.partial(hierarchy.coder.apply, method='encode')
    found: Codes = jax.device_get(jax.jit(apply)(hierarchy.frozen, image[None]))
    return found


def keep(codes: Codes, redraw: str) -> dict[str, Given]:
    """Returns what of the codes of an image stays: the upper half, or the whole top level.

    Args:
      codes: of one image.
      redraw: 'lower' or 'bottom': what is drawn anew.
    """
    found = {}
    for level, map_ in codes.items():
        known = np.zeros(map_.shape[1:], bool)
        known[: len(known) // 2] = redraw == 'lower'
        if redraw == 'bottom':
            known[:] = level == 'top'
        found[level] = Given(np.asarray(map_, np.int32), known)
    return found
