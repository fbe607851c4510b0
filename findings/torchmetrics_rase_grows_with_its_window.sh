#!/bin/sh
# The relative average spectral error (RASE) of torchmetrics is too large by the number of pixels in its window: 64
# times with the 8 x 8 of the default. Images that are off by 20 percent have 1280 percent, and 5120 with window 16.
#
# Version:    torchmetrics 1.9.0, torch 2.14.1, numpy 2.5.5, Python 3.13, 2026-11-30
# Expected:   20 with every window: RASE is 100 / M times the root of the mean of the channels' squared RMSE, M the mean
#             of the true image (Wald 2000, Data Fusion: Definitions and Architectures, which the documentation names).
#             The image is 0.5 everywhere, and what it is compared with 0.6, so that nothing hangs on where the window
#             is; torchmetrics' own RMSE in the same windows is 0.1, and its ERGAS is as in the same book, 20 times the
#             ratio of the pixels' sizes. The documentation says of window_size that it is the "sliding window used for
#             rmse calculation". Of a noisy image it is the same: the last line has the ratio to the formula.
# Seen:       version 1.9.0
#             window 2: RMSE 0.10, RASE 80, expected 20
#             window 4: RMSE 0.10, RASE 320, expected 20
#             window 8: RMSE 0.10, RASE 1280, expected 20
#             window 16: RMSE 0.10, RASE 5120, expected 20
#             ERGAS of ratio 1: 20
#             noise: 64 times the formula
# Reported:   not yet
# With us:    nothing depends on it: sr_jax has no RASE
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'torchmetrics==1.9.0' 'torch==2.14.1' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import torch
import torchmetrics
from torchmetrics.functional.image import (
    error_relative_global_dimensionless_synthesis,
    relative_average_spectral_error,
    root_mean_squared_error_using_sliding_window,
)

SHAPE = 1, 3, 64, 80


def formula(image, truth):
    squared = ((image - truth) ** 2).mean((0, 2, 3))  # of each channel
    return float(100 / truth.mean() * squared.mean().sqrt())


print('version', torchmetrics.__version__)
truth = torch.full(SHAPE, 0.5)
image = truth + 0.1
for window in (2, 4, 8, 16):
    rmse = root_mean_squared_error_using_sliding_window(image, truth, window_size=window)
    rase = relative_average_spectral_error(image, truth, window_size=window)
    print(f'window {window}: RMSE {rmse:.2f}, RASE {rase:.0f}, expected {formula(image, truth):.0f}')
print(f'ERGAS of ratio 1: {error_relative_global_dimensionless_synthesis(image, truth, ratio=1):.0f}')
generator = torch.Generator().manual_seed(0)
noisy = truth + 0.05 * torch.randn(SHAPE, generator=generator)
ratio = relative_average_spectral_error(noisy, truth) / formula(noisy, truth)
print(f'noise: {ratio:.0f} times the formula')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 1.9.0
window 2: RMSE 0.10, RASE 80, expected 20
window 4: RMSE 0.10, RASE 320, expected 20
window 8: RMSE 0.10, RASE 1280, expected 20
window 16: RMSE 0.10, RASE 5120, expected 20
ERGAS of ratio 1: 20
noise: 64 times the formula'
