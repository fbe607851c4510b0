"""What every task does with the switched convolutions of its network."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from sr_jax.layers import switching
from sr_jax.losses.load_balancing import load_balancing

MIN_SHARE = 'min_share/'  # begins the metric of a switched convolution's least used kernel


def mean_load_balancing(intermediates: Mapping[str, Any]) -> Float[Array, '']:
    """The load-balancing loss, the mean over the switched convolutions that wrote their choices."""
    losses = [load_balancing(p, choice) for _, choice, p in switching.choices(intermediates)]
    return jnp.stack(losses).mean()


def selector_metrics(
    statistics: Mapping[str, switching.SelectorStatistics], variables: Mapping[str, Any]
) -> dict[str, Array]:
    """Returns for each switched convolution the mean entropy of its selector's probabilities in
    nats, and the smallest share of a kernel: over the rows of the switch norm's buffer, or of the
    batch's choices where there is no norm."""
    buffered = switching.shares(variables.get('switch_norm', {}))
    metrics = {}
    for layer, (pixels, chosen, entropy) in statistics.items():
        metrics[f'entropy/{layer}'] = entropy / pixels
        metrics[f'{MIN_SHARE}{layer}'] = buffered.get(layer, chosen / pixels).min()
    return metrics
