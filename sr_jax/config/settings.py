"""The sections of a config that all tasks share, with the defaults of every field.

What is checked here needs nothing but the numbers. Names that other rooms know (of optimizers, of
protocols, of metrics) are checked by their readers: `sr_jax.optim.optimizer`,
`sr_jax.checkpoints.retention` and `sr_jax.training.settings`.
"""

import ast
import contextlib
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from sr_jax.config.binding import Section, nearest
from sr_jax.errors import InputError

MAX_WORKERS = 1024  # processes that read images
# Of convolutions: fewer where that is worth it, all, fewer wherever it is quicker.
PRODUCTS = ('auto', 'all', 'few')


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
        mapping from their names to such, also written as a string, {'name': 'source'}
        (`sr_jax.checkpoints.start_from`). Where that network is dense and this one's
        `config.model.switching` names layers, those are converted.
      fsdp: over so many devices parameters, their averages and the optimizer's state are split,
        and held once; a divisor of the number of devices; 1 = each device holds all of it.
      products: of 3 x 3 convolutions and their gradients in float32, on CPUs: 'auto' = few where
        all steps save what they are compiled longer, 'few' = few wherever a step is quicker, 'all'
        = all. Results differ by rounding.
    """

    steps: int = 1000
    batch_size: int = 8
    accumulation: int = 1
    effective_batch_size: int = 0
    memory_limit: int = 0
    remat: bool = False
    start_from: str | Mapping[str, str] = ''
    fsdp: int = 1
    products: str = 'auto'

    def __post_init__(self) -> None:
        _check_least('train', self, steps=1, batch_size=1, accumulation=1, fsdp=1)
        read_sources(self.start_from)
        if self.products not in PRODUCTS:
            hint = nearest(str(self.products), PRODUCTS)
            raise InputError(f'config.train.products={self.products!r}: {hint}')
        for key in ('effective_batch_size', 'memory_limit'):
            if getattr(self, key) < 0:
                raise InputError(f'config.train.{key} must not be negative (0 = automatic)')


def read_sources(start_from: Any) -> dict[str, str]:
    """Returns what a run begins with by what it is for, '' for the network that predicts.

    Args:
      start_from: `config.train.start_from`, or None. A command line has strings alone, so that a
        mapping may be the text of one.

    Raises:
      InputError: it is neither a source nor a mapping to such.
    """
    sources: Any = start_from
    if isinstance(sources, str) and sources.startswith('{'):
        with contextlib.suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            sources = ast.literal_eval(sources)
    if not isinstance(sources, Section):
        sources = {'': sources or ''}
    parts = dict(sources.items())
    texts = [text for pair in parts.items() for text in pair]
    if not all(isinstance(text, str) and not text.startswith('{') for text in texts):
        raise InputError(
            f'config.train.start_from={start_from!r}: give a run, a file of weights or a name of '
            "published ones, or a mapping from networks to these: {'top': 'a.pt', 'bottom': 'b.pt'}"
        )
    return {part: source for part, source in parts.items() if source}


def check_updates(settings: Any, *keys: str) -> None:
    """Raises ValueError, naming the key, for a number of updates that none of them comes to.

    Args:
      settings: of a section.
      keys: the fields of it that are such numbers, or several of them.
    """
    for key in keys:
        value = getattr(settings, key)
        if max(value if isinstance(value, tuple) else (value,), default=0) >= 2**31:
            raise ValueError(f'{key} must be under 2**31, as updates are counted by 32 bits')


@dataclasses.dataclass(frozen=True)
class OptimizerSettings:
    """The section `config.optimizer`, and those of further networks.

    Raises ValueError, which names the key, for what is out of range; `bind` names the section too.

    Attributes:
      name: 'adam' (AdamW when weight_decay > 0), 'lamb', 'lion', 'sgd' with momentum, 'lars' (sgd,
        each kernel's step by the kernel's norm, arXiv:1708.03888), 'adan'
        (arXiv:2208.06677, whose authors take b1=0.98 and b2=0.92), 'muon' (kernels by orthogonal
        updates, Jordan et al. 2024, as large as Adam's, arXiv:2502.16982; other arrays by NAdam),
        'soap' (Adam in the bases of Shampoo's statistics, arXiv:2409.11321, whose authors take
        b1=0.95, b2=0.95 and a rate of 3e-3; the first update is zero, and only begins them),
        or 'schedule_free' (AdamW with arXiv:2405.15682: take the schedule 'constant' and a warm-up;
        predictions use its average, so that there is no `ema_decay`).
      learning_rate: the highest one, reached after the warm-up.
      schedule: 'constant', 'cosine' (to 0 at the last step), 'linear' (to 0), 'polynomial' (to 0,
        as (1 - step / steps)^0.9, the usual one of segmenters), or 'multistep' (times
        `decay_factor` at each of `milestones`).
      warmup_steps: updates in which the rate rises linearly from 0.
      milestones: updates, for 'multistep'.
      decay_factor: for 'multistep'.
      b1, b2: decay of the first and second moment; of adan, of the gradient's and of its
        difference's; the momentum of muon, sgd and lars is b1.
      b3: of adan, decay of the second moment.
      nesterov: of sgd and lars: whether the gradient is taken ahead, as Nesterov's momentum does.
      shampoo_beta: of soap, decay of the statistics.
      precondition_frequency: of soap, updates from one improvement of the bases to the next.
      max_precondition_dim: of soap, the longest side of a kernel that has statistics.
      eps: added to the root of the second moment, or of lars to the norm of a kernel's gradient
        (not of lion and sgd).
      weight_decay: decoupled (Loshchilov and Hutter, arXiv:1711.05101), or of sgd and lars a part
        of the gradient, as PyTorch's; on arrays of two or more dimensions, so not on biases; 0 =
        none.
      clip_norm: the gradient's global norm is clipped to it; 0 = never.
      ema_decay: of the moving average of the parameters that predictions then use; 0 = none.
      ema_warmup: the decay of update t, from 0 on, is at most (1 + t) / (ema_warmup + t), so that
        the average leaves the start sooner; 10 is usual, 0 = none.
    """

    name: str = 'adam'
    learning_rate: float = 5e-4
    schedule: str = 'cosine'
    warmup_steps: int = 0
    milestones: tuple[int, ...] = ()
    decay_factor: float = 0.5
    b1: float = 0.9
    b2: float = 0.99
    b3: float = 0.99
    nesterov: bool = True
    shampoo_beta: float = 0.95
    precondition_frequency: int = 10
    max_precondition_dim: int = 10_000
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    ema_decay: float = 0.0
    ema_warmup: float = 0.0

    def __post_init__(self) -> None:
        for key in ('b1', 'b2', 'b3', 'shampoo_beta', 'ema_decay'):
            if not 0 <= getattr(self, key) < 1:
                raise ValueError(f'{key} must be in [0, 1)')
        if self.name == 'schedule_free' and (self.ema_decay or not self.b1):
            raise ValueError("'schedule_free' needs b1 above 0 and ema_decay=0")
        for key in (
            *('learning_rate', 'weight_decay', 'clip_norm', 'warmup_steps', 'ema_warmup'),
            *('eps', 'decay_factor'),
        ):
            if not 0 <= getattr(self, key) < math.inf:
                raise ValueError(f'{key} must not be negative, nor infinite')
        for key in ('precondition_frequency', 'max_precondition_dim'):
            if getattr(self, key) < 1:
                raise ValueError(f'{key} must be at least 1')
        check_updates(self, 'warmup_steps', 'precondition_frequency', 'milestones')
        rising = [0, *self.milestones]
        if rising != sorted(set(rising)):
            raise ValueError('milestones must be updates from 1 on, and rise')


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """The section `config.data`: where images come from and how they are cut.

    Attributes:
      source: images to train on: 'photos', 'folder:<path>', 'packed:<folder>', 'lmdb:<folder>' or
        'tfds:<name>', or true and small ones, 'paired:<folder of hq>:<folder of lq>'; or
        'codes:<folder>'; or clips: 'film:<film or folder>', 'frames:<folder of folders>' or
        'moving:<images>'; with labels, masks or boxes 'digits', 'textures', 'mosaics', 'sprites' or
        'tfds:<name>'.
      validation_source: images to validate on; '' takes the validation part of `source`.
      crop_size: height and width of a crop of the true images, in pixels.
      frames: of a clip, where the source has clips.
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
    frames: int = 1
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
            ('frames', 1),
            ('workers', 0),
            ('cache_bytes', 0),
            ('max_rejected', 0),
            ('validation_crops', 1),
            ('max_examples', 0),
        ):
            value = getattr(self, name)
            if value < least:
                raise InputError(f'config.data.{name} is {value}, but must be at least {least}')
        if self.workers > MAX_WORKERS:
            raise InputError(
                f'config.data.workers is {self.workers}, but must be at most {MAX_WORKERS}: take '
                'as many as there are cores to spare'
            )
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
