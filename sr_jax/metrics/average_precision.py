"""How well boxes are found: average precision, as COCO measures it, by pycocotools.

The package is the extra `detection`.
"""

import contextlib
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sr_jax.errors import InputError

NAMES = ('ap', 'ap_50', 'ap_75', 'ap_small', 'ap_medium', 'ap_large')  # as pycocotools orders them


class Found(NamedTuple):
    """The boxes of one image.

    Attributes:
      truth: top, left, bottom and right in pixels, and the class, of those that there are.
      boxes: the same of those that were found.
      scores: of those that were found.
    """

    truth: Float[np.ndarray, 'm 5']
    boxes: Float[np.ndarray, 'k 5']
    scores: Float[np.ndarray, ' k']


def average_precision(images: Sequence[Found], classes: int) -> dict[str, float]:
    """Returns COCO's metrics of the boxes found in images, by `NAMES`; -1 where there is nothing to
    be found, such as no large box.

    'ap' is the mean over overlaps from 0.5 to 0.95, over the classes; 'ap_50' that of an overlap of
    0.5; boxes are small under 32^2 pixels and large over 96^2.

    Raises:
      InputError: pycocotools is not installed.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise InputError(
            "boxes are measured by pycocotools: pip install 'sr_jax[detection]'"
        ) from error
    truth, found = COCO(), COCO()
    with contextlib.redirect_stdout(io.StringIO()):  # it tells how long each part took
        truth.dataset = _describe([image.truth for image in images], classes)
        truth.createIndex()
        found.dataset = _describe([image.boxes for image in images], classes)
        for note, score in zip(
            found.dataset['annotations'],
            np.concatenate([image.scores for image in images]),
            strict=True,
        ):
            note['score'] = float(score)
        found.createIndex()
        measure = COCOeval(truth, found, 'bbox')
        measure.evaluate()
        measure.accumulate()
        measure.summarize()
    return dict(zip(NAMES, map(float, measure.stats), strict=False))


def _describe(images: Sequence[Float[np.ndarray, '_ 5']], classes: int) -> dict[str, list[dict]]:
    """Returns boxes as COCO's files have them: left, top, width and height."""
    notes: list[dict] = []
    for number, boxes in enumerate(images):
        for top, left, bottom, right, kind in np.asarray(boxes, np.float64).tolist():
            height, width = bottom - top, right - left
            notes.append(
                {
                    'id': len(notes) + 1,
                    'image_id': number,
                    'category_id': int(kind),
                    'bbox': [left, top, width, height],
                    'area': height * width,
                    'iscrowd': 0,
                }
            )
    return {
        'images': [{'id': number} for number in range(len(images))],
        'categories': [{'id': kind} for kind in range(classes)],
        'annotations': notes,
    }
