"""Which checkpoints of a run are kept: the newest ones, and the best ones by a metric."""

import math

from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from sr_jax.config.settings import CheckpointSettings
from sr_jax.errors import InputError


def preservation(
    settings: CheckpointSettings, higher_is_better: bool
) -> AnyPreservationPolicy:
    """Returns the rule, as Orbax takes it."""
    metric = settings.best_metric
    best = BestN(
        get_metric_fn=lambda metrics: comparable(metric_of(metrics, metric), higher_is_better),
        reverse=not higher_is_better,
        n=settings.keep_best,
        keep_checkpoints_without_metrics=False,
    )
    return AnyPreservationPolicy([LatestN(settings.keep_last), best])


def comparable(value: float, higher_is_better: bool) -> float:
    """Returns a metric as checkpoints are compared by it: what is no number is the worst.

    Orbax 0.12.8 sorts NaN as it is: then the best checkpoints go and one of NaN stays.
    """
    if math.isnan(value):
        return -math.inf if higher_is_better else math.inf
    return value


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
