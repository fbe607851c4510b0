"""The sections of a config that all tasks share, with the defaults of every field.

What is checked here needs nothing but the numbers. Names that other rooms know (of optimizers, of
protocols, of metrics) are checked by their readers: `sr_jax.optim.optimizer`,
`sr_jax.checkpoints.retention` and `sr_jax.training.settings`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from sr_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """The section `config.train`.

    Attributes:
      steps: updates of the parameters.
      batch_size: images of one forward and backward pass (a microbatch), over all devices.
      accumulation: microbatches whose gradients are averaged for one update.
      effective_batch_size: 0, or the images of one update; then `batch_size`, `accumulation`
        and `remat` are chosen for it, to fit into the memory.
      memory_limit: bytes of one device that a step may take; 0 = what the device has.
      remat: recompute activations in the backward pass instead of keeping them.
      start_from: '', or the network that a new run begins with: a run or a checkpoint of one, a
        file of weights, or the name of published ones; of several networks, or parts of one, a
        mapping from their names to such (`sr_jax.checkpoints.start_from`). Where that network is
        dense and this one's `config.model.switching` names layers, those are converted.
      fsdp: over so many devices parameters, their averages and the optimizer's state are split,
        and held once; a divisor of the number of devices; 1 = each device holds all of it.
    """

    steps: int = 1000
    batch_size: int = 8
    accumulation: int = 1
    effective_batch_size: int = 0
    memory_limit: int = 0
    remat: bool = False
    start_from: str | Mapping[str, str] = ''
    fsdp: int = 1

    def __post_init__(self) -> None:
        _check_least('train', self, steps=1, batch_size=1, accumulation=1, fsdp=1)
        sources = self.start_from
        named = sources.values() if isinstance(sources, Mapping) else [sources]
        if not all(isinstance(source, str) for source in named):
            raise InputError(
                f'config.train.start_from={sources!r}: give a run, a file of weights or a name of '
                'published ones, or a mapping from networks to these'
            )
        for key in ('effective_batch_size', 'memory_limit'):
            if getattr(self, key) < 0:
                raise InputError(f'config.train.{key} must not be negative (0 = automatic)')


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """The section `config.optimizer`.

    Attributes:
      name: 'adam' (AdamW when weight_decay > 0), 'lamb', 'lion', or 'sgd' with momentum.
      learning_rate: the highest one, reached after the warm-up.
      schedule: 'constant', 'cosine' (to 0 at the last step), 'linear' (to 0), 'polynomial' (to 0,
        as (1 - step / steps)^0.9, the usual one of segmenters), or 'multistep' (times
        `decay_factor` at each of `milestones`).
      warmup_steps: updates in which the rate rises linearly from 0.
      milestones: updates, for 'multistep'.
      decay_factor: for 'multistep'.
      b1, b2: decay of the first and second moment; of sgd, b1 is the momentum.
      nesterov: of sgd: whether the gradient is taken ahead, as Nesterov's momentum does.
      eps: added to the root of the second moment (adam, lamb).
      weight_decay: decoupled (Loshchilov and Hutter, arXiv:1711.05101), or of sgd a part of the
        gradient, as PyTorch's; on arrays of two or more dimensions, so not on biases; 0 = none.
      clip_norm: the gradient's global norm is clipped to it; 0 = never.
      ema_decay: of the moving average of the parameters that predictions then use; 0 = none.
    """

    name: str = 'adam'
    learning_rate: float = 5e-4
    schedule: str = 'cosine'
    warmup_steps: int = 0
    milestones: tuple[int, ...] = ()
    decay_factor: float = 0.5
    b1: float = 0.9
    b2: float = 0.99
    nesterov: bool = True
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    ema_decay: float = 0.0

    def __post_init__(self) -> None:
        for key in ('b1', 'b2', 'ema_decay'):
            if not 0 <= getattr(self, key) < 1:
                raise InputError(f'config.optimizer.{key} must be in [0, 1)')
        for key in ('learning_rate', 'weight_decay', 'clip_norm', 'warmup_steps'):
            if getattr(self, key) < 0:
                raise InputError(f'config.optimizer.{key} must not be negative')


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """The section `config.data`: where images come from and how they are cut.

    Attributes:
      source: images to train on: 'photos', 'folder:<path>', 'packed:<folder>', 'lmdb:<folder>' or
        'tfds:<name>', or true and small ones, 'paired:<folder of hq>:<folder of lq>'; or
        'codes:<folder>'; with labels, masks or boxes 'digits', 'textures', 'mosaics', 'sprites' or
        'tfds:<name>'.
      validation_source: images to validate on; '' takes the validation part of `source`.
      crop_size: height and width of a crop of the true images, in pixels.
      flips: mirror half of the crops left to right.
      rotations: turn crops by a random multiple of 90 degrees.
      workers: processes that read images; 0 reads in threads of this process.
      cache_bytes: decoded images kept in memory, in bytes, by each process that reads.
      max_rejected: so many broken or too small images are skipped; one more stops training.
      validation_fraction: part of a folder held out when `validation_source` is ''.
      validation_crops: validate on at most so many crops.
      max_examples: train on the first so many examples alone; 0 = on all.
    """

    source: str = 'photos'
    validation_source: str = ''
    crop_size: int = 96
    flips: bool = True
    rotations: bool = True
    workers: int = 0
    cache_bytes: int = 256 * 2**20
    max_rejected: int = 0
    validation_fraction: float = 0.05
    validation_crops: int = 64
    max_examples: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ('crop_size', 1),
            ('workers', 0),
            ('cache_bytes', 0),
            ('max_rejected', 0),
            ('validation_crops', 1),
            ('max_examples', 0),
        ):
            value = getattr(self, name)
            if value < least:
                raise InputError(f'config.data.{name} is {value}, but must be at least {least}')
        if not 0 < self.validation_fraction < 1:
            raise InputError(
                f'config.data.validation_fraction is {self.validation_fraction}, but must lie '
                'between 0 and 1; for other validation images set config.data.validation_source'
            )


@dataclasses.dataclass(frozen=True)
class EvaluationSettings:
    """The section `config.evaluation`.

    Attributes:
      every: updates between two evaluations; there is one at the end in any case.
      batch_size: images of a batch, over all devices.
      protocol: how PSNR and SSIM are measured, such as 'rgb_crop0'; see
        `sr_jax.metrics.protocol`.
    """

    every: int = 500
    batch_size: int = 16
    protocol: str = 'y_matlab_crop4'

    def __post_init__(self) -> None:
        _check_least('evaluation', self, every=1, batch_size=1)


@dataclasses.dataclass(frozen=True)
class CheckpointSettings:
    """The section `config.checkpoint`.

    Attributes:
      every: updates between two checkpoints; there is one at the end in any case.
      keep_last: so many of the newest are kept.
      keep_best: and so many of the best by `best_metric`.
      best_metric: 'mse', 'psnr' or 'ssim' of the validation images, 'bits_per_dimension' of flows
        and of priors over codes, 'top_1' of classifiers, 'mean_iou' of segmenters, 'ap' of
        detectors, 'agreement' of pixels' latents.
    """

    every: int = 500
    keep_last: int = 2
    keep_best: int = 1
    best_metric: str = 'mse'

    def __post_init__(self) -> None:
        _check_least('checkpoint', self, every=1, keep_last=1, keep_best=0)


@dataclasses.dataclass(frozen=True)
class LogSettings:
    """The section `config.log`.

    Attributes:
      every: updates between two lines.
      samples_every: updates between two grids of sample images.
      samples: images in a grid; 0 = no grids.
    """

    every: int = 20
    samples_every: int = 500
    samples: int = 8

    def __post_init__(self) -> None:
        _check_least('log', self, every=1, samples_every=1, samples=0)


def _check_least(section: str, settings: Any, **least: int) -> None:
    """Raises InputError for the first key whose value is under the least that it may have."""
    for key, value in least.items():
        if getattr(settings, key) < value:
            raise InputError(f'config.{section}.{key} must be at least {value}')
