"""Which checkpoints of a run are kept: the newest ones, and the best ones by a metric."""

from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from sr_jax.config.binding import nearest
from sr_jax.config.settings import CheckpointSettings
from sr_jax.errors import InputError

HIGHER_IS_BETTER = {'mse': False, 'psnr': True, 'ssim': True, 'bits_per_dimension': False}


def check_best_metric(settings: CheckpointSettings) -> None:
    """Raises InputError unless it is known of `best_metric` which values are better."""
    if settings.best_metric not in HIGHER_IS_BETTER:
        hint = nearest(settings.best_metric, HIGHER_IS_BETTER)
        raise InputError(f'config.checkpoint.best_metric={settings.best_metric!r}: {hint}')


def preservation(settings: CheckpointSettings) -> AnyPreservationPolicy:
    """Returns the rule, as Orbax takes it.

    Raises:
      InputError: a metric of which it is not known which values are better.
    """
    check_best_metric(settings)
    metric = settings.best_metric
    best = BestN(
        get_metric_fn=lambda metrics: metric_of(metrics, metric),
        reverse=not HIGHER_IS_BETTER[metric],
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
