"""Which checkpoints of a run are kept: the newest ones, and the best ones by a metric."""

import dataclasses

from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from sr_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class CheckpointSettings:
    """The section `config.checkpoint`.

    Attributes:
      every: updates between two checkpoints; there is one at the end in any case.
      keep_last: so many of the newest are kept.
      keep_best: and so many of the best by `best_metric`.
      best_metric: 'mse', 'psnr' or 'ssim' of the validation images, or 'bits_per_dimension' of
        flows.
    """

    every: int
    keep_last: int
    keep_best: int
    best_metric: str

    def __post_init__(self):
        for key, least in (('every', 1), ('keep_last', 1), ('keep_best', 0)):
            if getattr(self, key) < least:
                raise InputError(f'config.checkpoint.{key} must be at least {least}')


def preservation(
    settings: CheckpointSettings, higher_is_better: bool
) -> AnyPreservationPolicy:
    """Returns the rule, as Orbax takes it."""
    metric = settings.best_metric
    best = BestN(
        get_metric_fn=lambda metrics: metric_of(metrics, metric),
        reverse=not higher_is_better,
        n=settings.keep_best,
        keep_checkpoints_without_metrics=False,
    )
    return AnyPreservationPolicy([LatestN(settings.keep_last), best])


def metric_of(metrics: dict[str, float], name: str) -> float:
    """Returns 'psnr' of {'psnr_rgb_crop4': ...}: the metric whatever its protocol.

    Raises:
      InputError: it was not measured; says what was.
    """
    for key, value in metrics.items():
        if key == name or key.startswith(f'{name}_'):
            return value
    raise InputError(
        f'config.checkpoint.best_metric={name!r} was not measured when a checkpoint was validated, '
        f'but {", ".join(sorted(metrics)[:20])}'
    )
