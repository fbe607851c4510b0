"""What datasets of TensorFlow Datasets tell of their images: labels, masks and boxes.

Read without TensorFlow, TFDS gives labels as int, encoded images as bytes, and a sequence of
objects as a dict of lists, which are empty where an image has none.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float, Integer

from sr_jax.data.fields import BOXES, LABEL, MASK, Field
from sr_jax.images.decoding import ImageError, decode_indices

SLACK = 0.01  # so far, of the image's side, a box may lie outside: it is cut


class Annotation(NamedTuple):
    """One kind of what is known of the images of a dataset.

    Attributes:
      feature: its name there.
      classes: their names; () where the dataset does not tell them.
    """

    feature: str
    classes: tuple[str, ...] = ()


class Kind(NamedTuple):
    """How a kind is found and read.

    Attributes:
      field: of its values.
      find: (builder, name of the image's feature) -> the annotation, or None.
      read: (what a record holds, the annotation, height and width of the image, what messages call
        the example) -> its value; raises `ImageError`.
    """

    field: Field
    find: Callable[[tfds.core.DatasetBuilder, str], Annotation | None]
    read: Callable[[Any, Annotation, tuple[int, ...], str], Any]


def find(builder: tfds.core.DatasetBuilder, image: str) -> dict[str, Annotation]:
    """Returns what is known of the images of a dataset, by the keys of an example."""
    found = {key: kind.find(builder, image) for key, kind in KINDS.items()}
    return {key: annotation for key, annotation in found.items() if annotation is not None}


def _find_label(builder: tfds.core.DatasetBuilder, image: str) -> Annotation | None:
    """The class of an image: the supervised target, else the only one of classes."""
    del image
    features = dict(builder.info.features.items())
    labels = [key for key, kind in features.items() if isinstance(kind, tfds.features.ClassLabel)]
    supervised = [key for key in builder.info.supervised_keys or () if key in labels]
    chosen = supervised[-1] if supervised else labels[0] if len(labels) == 1 else ''
    return Annotation(chosen, _names(features[chosen])) if chosen else None


def _find_mask(builder: tfds.core.DatasetBuilder, image: str) -> Annotation | None:
    """The only image of one channel beside the image itself. Its classes have no names there."""
    masks = [
        key
        for key, kind in builder.info.features.items()
        if isinstance(kind, tfds.features.Image) and key != image and kind.shape[-1] == 1
    ]
    return Annotation(masks[0]) if len(masks) == 1 else None


def _find_boxes(builder: tfds.core.DatasetBuilder, image: str) -> Annotation | None:
    """The only sequence of objects with a box 'bbox' and a class 'label' each."""
    del image
    found = []
    for key, kind in builder.info.features.items():
        inner = getattr(kind, 'feature', None)
        parts = dict(inner.items()) if isinstance(inner, tfds.features.FeaturesDict) else {}
        if isinstance(parts.get('bbox'), tfds.features.BBoxFeature) and 'label' in parts:
            found.append(Annotation(key, _names(parts['label'])))
    return found[0] if len(found) == 1 else None


def _names(kind: tfds.features.FeatureConnector) -> tuple[str, ...]:
    return tuple(kind.names) if isinstance(kind, tfds.features.ClassLabel) else ()


def _read_label(value: Any, found: Annotation, size: tuple[int, ...], name: str) -> int:
    del size
    _check_labels(np.asarray(value), found, name)
    return int(value)


def _read_mask(
    value: bytes, found: Annotation, size: tuple[int, ...], name: str
) -> Integer[np.ndarray, 'h w']:
    mask = decode_indices(value, name)
    if mask.shape != size:
        raise ImageError(
            name,
            f'its mask has {mask.shape[1]}x{mask.shape[0]} pixels, the image {size[1]}x{size[0]}',
        )
    return mask


def _read_boxes(
    value: Mapping[str, Any], found: Annotation, size: tuple[int, ...], name: str
) -> Float[np.ndarray, 'n 5']:
    """Top, left, bottom and right in pixels, and the class, of the objects of an image."""
    corners = np.asarray(value['bbox'], np.float32).reshape(-1, 4)
    labels = np.asarray(value['label'], np.int64).reshape(-1)
    _check_labels(labels, found, name)
    for i, (top, left, bottom, right) in enumerate(corners):
        if not (top < bottom and left < right):
            raise ImageError(name, f'box {i} is empty')
        if min(top, left) < -SLACK or max(bottom, right) > 1 + SLACK:
            raise ImageError(name, f'box {i} lies outside of the image')
    pixels = np.clip(corners, 0, 1) * np.asarray([*size, *size], np.float32)
    return np.concatenate([pixels, labels[:, None].astype(np.float32)], axis=1)


def _check_labels(labels: np.ndarray, found: Annotation, name: str) -> None:
    wrong = labels[(labels < 0) | (labels >= len(found.classes))]
    if wrong.size and found.classes:
        raise ImageError(
            name, f'the label {wrong.flat[0]} is out of range: there are {len(found.classes)}'
        )


KINDS = {
    'label': Kind(LABEL, _find_label, _read_label),
    'segments': Kind(MASK, _find_mask, _read_mask),
    'boxes': Kind(BOXES, _find_boxes, _read_boxes),
}
