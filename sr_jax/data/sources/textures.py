"""Patches of the embedded photographs: which photograph is each one from?"""

from typing import Any

import numpy as np

from sr_jax.config.settings import DataSettings
from sr_jax.data import patches
from sr_jax.data.fields import IMAGE, LABEL

FORM = 'textures'
FIELDS = {'hq': IMAGE, 'label': LABEL}


def make(index: int, part: str, size: int, rng: np.random.Generator) -> dict[str, Any]:
    """Makes an image 'hq', uint8 [size, size, 3], of the photographs in turn, and its 'label'."""
    label = index % len(patches.NAMES)
    return {'hq': patches.patch(label, part, size, rng), 'label': label}


def open_part(rest: str, part: str, settings: DataSettings) -> patches.Made:
    """Opens the patches of a part: see `sr_jax.data.sources`."""
    del rest
    classes = {'label': patches.TITLES}
    return patches.Made('textures', FIELDS, part, settings.crop_size, make, classes)
