"""The Gaussian of natural images that NIQE's authors publish, in MATLAB's files.

'mu_prisparam' and 'cov_prisparam', as in the authors' modelparameters.mat and pyiqa's
niqe_modelparameters.mat. Their numbers come with no license that lets us pass them on.
"""

from pathlib import Path

import numpy as np

from sr_jax.errors import InputError

FEATURES = 36
MEAN, COVARIANCE = 'mu_prisparam', 'cov_prisparam'


def read(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the covariance of the features that a file holds, float64.

    Raises:
      InputError: no such file, or it is damaged or of something else.
    """
    import scipy.io  # a slow import

    path = Path(path)
    if not path.is_file():
        raise InputError(f'no such file of a model of NIQE: {path}')
    try:
        shapes = {name: shape for name, shape, _ in scipy.io.whosmat(path)}
        sizes = [int(np.prod(shapes.get(name, 0))) for name in (MEAN, COVARIANCE)]
        if sizes != [FEATURES, FEATURES**2]:  # before anything is unpacked
            raise ValueError(f"it has no '{MEAN}' and '{COVARIANCE}' of {FEATURES} features")
        found = scipy.io.loadmat(path, variable_names=[MEAN, COVARIANCE])
        mean = np.asarray(found[MEAN], np.float64).reshape(FEATURES)
        covariance = np.asarray(found[COVARIANCE], np.float64).reshape(FEATURES, FEATURES)
    except Exception as error:  # the reader raises nearly anything of a damaged file
        raise InputError(f'{path}: not a model of NIQE ({str(error)[:200]})') from error
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise InputError(f'{path}: its numbers are not finite')
    return mean, covariance
