"""The weights of DISTS, as its authors' file and those of pyiqa have them.

'alpha' and 'beta' are the weights of texture and structure of all channels, [1, 1475, 1, 1]. The
authors' file holds nothing else, and the features are those of torchvision's VGG16; what pyiqa's
module saves holds these too, in stages that are numbered as in torchvision, and constants.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.errors import InputError
from sr_jax.pretrained import files, layouts, vgg

CHANNELS = 3 + 64 + 128 + 256 + 512 + 512  # of the image and five layers
WEIGHTS = {'alpha': 'texture', 'beta': 'structure'}
STAGE = re.compile(r'stage[1-5]\.(\d+\.(?:weight|bias))')


def read(path: str | Path) -> dict[str, Any]:
    """The variables of `sr_jax.metrics.dists` that a file holds.

    Returns:
      {'texture', 'structure'}, [1475] each, and 'params' of the features where it has them.

    Raises:
      InputError: it is damaged, or does not hold them.
    """
    state = layouts.plain(files.read_state(path))
    found: dict[str, Any] = {}
    for theirs, ours in WEIGHTS.items():
        if np.size(state.get(theirs, ())) != CHANNELS:
            raise InputError(
                f"{path}: not the weights of DISTS: it has no '{theirs}' of {CHANNELS} channels"
            )
        found[ours] = np.asarray(state[theirs], np.float32).reshape(-1)
        if not np.isfinite(found[ours]).all():
            raise InputError(f"{path}: '{theirs}' is not finite")
    stages = {name: match[1] for name in state if (match := STAGE.fullmatch(name))}
    features = {f'{vgg.FEATURES}{rest}': state[name] for name, rest in stages.items()}
    if features:
        try:
            found['params'] = vgg.from_torch(features)['params']
        except InputError as error:
            raise InputError(f'{path}: {error}') from error
    return found
