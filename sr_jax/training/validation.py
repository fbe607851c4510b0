"""A network measured on the crops that a run validates on."""

import itertools
import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from sr_jax.devices import distributed, sharding
from sr_jax.metrics.codebook import perplexity, usage
from sr_jax.metrics.protocol import Protocol

MAX_BREADTH = 256  # of a switched convolution


MEASURED = {'commitment', 'bits_per_dimension'}  # of each image by the task itself


def evaluate_batches(
    predict: Callable[..., dict[str, Any]],
    variables: dict[str, Any],
    batches: Iterable[dict[str, np.ndarray]],
    protocols: Sequence[Protocol],
    mesh: Mesh,
) -> dict[str, float]:
    """Returns metrics, each a mean over the images.

    'images'; 'mse' of images in [0, 1]; 'psnr' in dB and 'ssim' with each protocol's name, such
    as 'psnr_rgb_crop0'; for flows 'bits_per_dimension', see `sr_jax.losses.likelihood`; and for
    networks with codebooks 'commitment', the loss without its weight,
    and over all the images together 'usage_<level>' and 'perplexity_<level>'; for switched
    convolutions 'kernels/<layer>', the perplexity of the choices (how many kernels are in use).

    Args:
      predict: the jitted function of the task.
      variables: of the network.
      batches: {'hq': [B, H, W, 3], 'mask': [B]}; images with mask 0 do not count.
      protocols: of PSNR and SSIM.
      mesh: over which a batch is split.
    """
    names = ['mse', *(f'{kind}_{p.name}' for p in protocols for kind in ('psnr', 'ssim'))]
    rows: list[dict[str, float]] = []
    codes: dict[str, np.ndarray] = {}
    kernels: dict[str, np.ndarray] = {}
    for batch in batches:
        mask = batch.pop('mask') > 0
        own = sharding.own_rows(mesh, len(mask))
        outputs = sharding.fetch_own(predict(variables, sharding.put_rows(batch, mesh)))
        kept = mask[own]
        for i in np.flatnonzero(kept):
            row = _row(outputs['image'][i], batch['hq'][own][i], names, protocols)
            rows.append(row | {k: float(outputs[k][i]) for k in MEASURED & outputs.keys()})
        for level, used in outputs.get('code_counts', {}).items():
            codes[level] = codes.get(level, 0) + used[kept].sum(axis=0)
        for layer, choice in outputs.get('choices', {}).items():
            used = np.bincount(choice[kept].ravel(), minlength=MAX_BREADTH)
            kernels[layer] = kernels.get(layer, 0) + used
    return _over_all(rows, codes, kernels)


def _row(
    image: np.ndarray, reference: np.ndarray, names: Sequence[str], protocols: Sequence[Protocol]
) -> dict[str, float]:
    """Returns the measures of an image by their names."""
    mse = float(np.mean(np.square(image - reference), dtype=np.float64))
    pairs = ((p.psnr(image, reference), p.ssim(image, reference)) for p in protocols)
    return dict(zip(names, (mse, *itertools.chain(*pairs)), strict=True))


def _over_all(
    rows: list[dict[str, float]], codes: dict[str, np.ndarray], kernels: dict[str, np.ndarray]
) -> dict[str, float]:
    """Returns the metrics of the images that this and all other processes have measured.

    The sums are exact, so that they do not depend on how many processes there are.
    """
    counts = {'usage': codes, 'kernels': kernels}
    own = {k: {n: used.tolist() for n, used in v.items()} for k, v in counts.items()}
    told = [json.loads(text) for text in distributed.gather(json.dumps({'rows': rows, **own}))]
    rows = [row for part in told for row in part['rows']]
    metrics: dict[str, float] = {'images': len(rows)}
    metrics |= {k: math.fsum(row[k] for row in rows) / len(rows) for k in rows[0]}
    for level in codes:
        used = np.sum([part['usage'][level] for part in told], axis=0)
        metrics[f'usage_{level}'] = np.asarray(usage(used)).item()
        metrics[f'perplexity_{level}'] = np.asarray(perplexity(used)).item()
    for layer in kernels:
        used = np.sum([part['kernels'][layer] for part in told], axis=0)
        metrics[f'kernels/{layer}'] = np.asarray(perplexity(used)).item()
    return metrics
