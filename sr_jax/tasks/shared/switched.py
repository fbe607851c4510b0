"""What every task does with the switched convolutions of its network."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from sr_jax import models
from sr_jax.errors import InputError
from sr_jax.images.selector_map import draw
from sr_jax.layers import switching
from sr_jax.losses.load_balancing import load_balancing
from sr_jax.metrics.codebook import perplexity
from sr_jax.models.protocols import Switchable
from sr_jax.tasks.task import Batch, Evaluation, Outputs, Panels, Row, Totals

MAX_BREADTH = 256  # of a switched convolution
MIN_SHARE = 'min_share/'  # begins the metric of a switched convolution's least used kernel


def init_network(
    model: Any, key: Array, *inputs: Array, **named: Array
) -> tuple[Any, dict[str, Any]]:
    """Returns the parameters of a new network, and its other collections.

    Args:
      model: the network.
      key: a random key.
      inputs, named: what it is called with.

    Raises:
      InputError: the config would have convolutions switched that the network has not.
    """
    variables = dict(model.init(key, *inputs, **named))
    params = variables.pop('params')
    variables.pop('intermediates', None)
    if settings := switching.settings_of(model):
        switching.check_layers(params, settings)
    return params, variables


def check_load_balancing(model: Any, key: str, has_weight: bool) -> None:
    """Raises InputError where the loss of switched convolutions has a weight, and there are none.

    Args:
      model: the network.
      key: of the weight in `config.loss`.
      has_weight: whether it is ever above 0.
    """
    if not has_weight or switching.settings_of(model):
        return
    remedy = 'name some in config.model.switching.layers'
    if not isinstance(model, Switchable):
        remedy = f'take a network that can have some ({", ".join(models.names(Switchable))})'
    raise InputError(
        f'config.loss.{key} is for switched convolutions, of which this network has none: '
        f'{remedy}, or leave the weight at 0'
    )


def mean_load_balancing(intermediates: Mapping[str, Any]) -> Float[Array, '']:
    """Returns the mean load-balancing loss of the switched convolutions that sowed choices."""
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


def measure_choices() -> Evaluation:
    """Returns the evaluation of outputs['choices'], int32 [n, h, w] by layer, where there are any.

    Metrics: 'kernels/<layer>', the perplexity of the choices over all the pixels of all images: how
    many kernels are in use.
    """

    def measure(batch: Batch, outputs: Outputs) -> tuple[list[Row], Totals]:
        choices = outputs.get('choices', {})
        counts = {
            layer: np.bincount(choice.ravel(), minlength=MAX_BREADTH)
            for layer, choice in choices.items()
        }
        rows: list[Row] = [{} for _ in next(iter(batch.values()))]
        return rows, {'kernels': counts}

    def summarize(rows: list[Row], totals: Totals) -> dict[str, float]:
        del rows
        counts = totals.get('kernels', {})
        return {
            f'kernels/{layer}': np.asarray(perplexity(used)).item()
            for layer, used in counts.items()
        }

    return Evaluation(measure, summarize, {})


def draw_selectors(
    settings: switching.Switching | None, images: np.ndarray, outputs: Outputs
) -> Panels:
    """Returns the panel 'selectors', what the switched convolutions chose in the first image; or
    nothing where there are none.

    Args:
      settings: of the network; None: it has no switched convolutions.
      images: [n, h, w, 3] in [0, 1].
      outputs: with 'choices'.
    """
    if settings is None:
        return {}
    choices = {layer: choice[0] for layer, choice in outputs['choices'].items()}
    return {'selectors': [draw(images[0], choices, settings.breadth)[None]]}


def describe_late_norms(state: PyTree, start: str, steps: int) -> str:
    """Returns a line about switch norms that do not begin before a run ends, or ''.

    Args:
      state: of all networks.
      start: the config's `norm_start`; with 'first' they begin at once.
      steps: that are left.
    """

    def is_norm(node: Any) -> bool:
        return isinstance(node, Mapping) and 'filled' in node

    nodes = jax.tree.leaves(state, is_leaf=is_norm)
    waiting = [node for node in nodes if is_norm(node) and not node['filled']]
    missing = max((len(norm['buffer']) - int(norm['index']) for norm in waiting), default=0)
    if start != 'full' or not 0 < steps < missing:
        return ''
    return (
        f'switch norms begin when their buffers are full, after {missing} steps, and this run has '
        f'{steps}: nothing will keep kernels in use. Take fewer rows '
        "(config.model.switching.norm_size), or norm_start='first'"
    )
