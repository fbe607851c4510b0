#!/bin/sh
# The visual information fidelity (VIF) of torchmetrics takes for granted that images go from 0 to 255, and neither says
# so nor has an option for it: in [0, 1], which most networks give, noise that one sees costs next to nothing, and less
# contrast costs most. Who picks a network by it picks the noisy one.
#
# Version:    torchmetrics 1.9.0, piq 0.8.0, torch 2.14.1, torchvision 0.29.1, numpy 2.5.5, Python 3.13, 2026-11-30
# Expected:   the same of an image in [0, 1] and in [0, 255], or an option for the range, as PSNR and SSIM of
#             torchmetrics have it. The documentation says of preds and target that they are images of shape (N,C,H,W)
#             of at least 41 pixels a side, and of sigma_n_sq that it is "variance of the visual noise", 2 by default:
#             which can only mean levels of 255; its example has numbers around 0. VIF is 1 for an equal image, and
#             below 1 for a noisy one (Sheikh and Bovik 2006, doi:10.1109/TIP.2005.859378). vif_p of piq, which has a
#             data_range, gives in both ranges what torchmetrics gives of 0 to 255.
# Seen:       version 1.9.0
#             the same: 0 to 1: 1.00, piq 1.00; 0 to 255: 1.00, piq 1.00
#             noise of 0.02: 0 to 1: 1.00, piq 0.63; 0 to 255: 0.63, piq 0.63
#             noise of 0.1: 0 to 1: 0.98, piq 0.23; 0 to 255: 0.23, piq 0.23
#             blurred: 0 to 1: 0.73, piq 0.77; 0 to 255: 0.77, piq 0.77
#             half the contrast: 0 to 1: 0.25, piq 0.76; 0 to 255: 0.76, piq 0.76
# Reported:   not yet
# With us:    nothing depends on it: sr_jax has no VIF
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'torchmetrics==1.9.0' 'piq==0.8.0' 'torch==2.14.1' 'torchvision==0.29.1' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import numpy as np
import piq
import torch
import torchmetrics
from torchmetrics.functional.image import visual_information_fidelity

HEIGHT, WIDTH = 128, 144


def batch(pixels):
    return torch.from_numpy(pixels.astype(np.float32))[None, None]


def blurred(pixels):
    """Means of 5 x 5 pixels."""
    padded = np.pad(pixels, 2, 'reflect')
    return np.lib.stride_tricks.sliding_window_view(padded, (5, 5)).mean((2, 3))


random = np.random.default_rng(0)
y, x = np.mgrid[:HEIGHT, :WIDTH]
waves = (np.sin(x / wide + y / high) for wide, high in ((20, 13), (7, -9), (3, 40), (50, 2)))
image = 0.5 + 0.1 * sum(waves)
print('version', torchmetrics.__version__)
for name, changed in (
    ('the same', image),
    ('noise of 0.02', image + random.normal(0, 0.02, image.shape)),
    ('noise of 0.1', image + random.normal(0, 0.1, image.shape)),
    ('blurred', blurred(image)),
    ('half the contrast', 0.25 + 0.5 * image),
):
    line = []
    for top in (1, 255):
        pair = batch(changed.clip(0, 1) * top), batch(image * top)
        line.append(
            f'0 to {top}: {visual_information_fidelity(*pair):.2f}, piq {piq.vif_p(*pair, data_range=top):.2f}'
        )
    print(f'{name}: {"; ".join(line)}')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 1.9.0
the same: 0 to 1: 1.00, piq 1.00; 0 to 255: 1.00, piq 1.00
noise of 0.02: 0 to 1: 1.00, piq 0.63; 0 to 255: 0.63, piq 0.63
noise of 0.1: 0 to 1: 0.98, piq 0.23; 0 to 255: 0.23, piq 0.23
blurred: 0 to 1: 0.73, piq 0.77; 0 to 255: 0.77, piq 0.77
half the contrast: 0 to 1: 0.25, piq 0.76; 0 to 255: 0.76, piq 0.76'
