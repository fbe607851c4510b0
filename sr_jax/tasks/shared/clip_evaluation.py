"""The evaluation of clips: each frame as an image, and how frames follow each other."""

from collections.abc import Sequence

import numpy as np

from sr_jax.images.finite import check_finite
from sr_jax.metrics import temporal
from sr_jax.metrics.protocol import Protocol
from sr_jax.tasks.shared.evaluation import means, measure_images
from sr_jax.tasks.task import Batch, Evaluation, Outputs, Row, Totals


def measure_clips(protocols: Sequence[Protocol]) -> Evaluation:
    """Returns the evaluation of outputs['image'] against batch['hq'], both [n, t, h, w, 3].

    Metrics: 'clips', how many; 'mse', 'psnr_<protocol>' and 'ssim_<protocol>', each a mean over the
    frames of a clip and then over clips; of two frames and more 't_of', 'warping_error' and
    'flicker' (`sr_jax.metrics.temporal`), and 'drift', the mean squared error of the last frame
    less that of the second: what the network adds to its own results.
    """
    images = measure_images(protocols)
    names = ['mse', *(f'{kind}_{p.name}' for p in protocols for kind in ('psnr', 'ssim'))]

    def measure_one(image: np.ndarray, hq: np.ndarray) -> Row:
        rows, _ = images.measure({'hq': hq}, {'image': image})
        row = means(rows, names)
        if len(hq) > 1:
            row |= {name: found(image, hq) for name, found in temporal.MEASURES.items()}
            row['drift'] = rows[-1]['mse'] - rows[1]['mse']
        return row

    def measure(batch: Batch, outputs: Outputs) -> tuple[list[Row], Totals]:
        check_finite(outputs['image'], 'what the network makes of these clips')
        pairs = zip(outputs['image'], batch['hq'], strict=True)
        return [measure_one(image, hq) for image, hq in pairs], {}

    def summarize(rows: list[Row], totals: Totals) -> dict[str, float]:
        del totals
        return {'clips': len(rows), **means(rows, rows[0])}

    temporal_names = dict.fromkeys((*temporal.MEASURES, 'drift'), False)
    return Evaluation(measure, summarize, {**images.higher_is_better, **temporal_names})
