#!/bin/sh
# The SR-SIM of piq gives an image another score with each image beside it in the batch: 0.79 to 0.91 where it is 0.86
# alone, also with reduction='none'. So means over a data set depend on the size of the batches and on their order.
#
# Version:    piq 0.8.0, torch 2.14.1, torchvision 0.29.1, numpy 2.5.5, Python 3.13, 2026-12-01
# Expected:   the same score in every company: SR-SIM is of one image and its reference (Zhang and Li 2012, which the
#             documentation names), and the documentation says of reduction that it is over "samples in batch". It is so
#             with piq's FSIM, and with its other measures that need no network. What SR-SIM scales to 0 to 1 by the
#             least and the greatest value of the whole batch, not of the image, are the maps of saliency.
# Seen:       version 0.8.0
#             alone: SR-SIM 0.858, FSIM 0.796
#             with itself: SR-SIM 0.858, FSIM 0.796
#             with another image: SR-SIM 0.874, FSIM 0.796
#             with a black image: SR-SIM 0.909, FSIM 0.796
#             with a gray image: SR-SIM 0.793, FSIM 0.796
# Reported:   not yet
# With us:    nothing depends on it: sr_jax has no SR-SIM
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'piq==0.8.0' 'torch==2.14.1' 'torchvision==0.29.1' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
from importlib.metadata import version

import piq
import torch

SHAPE = 1, 3, 128, 160


def make(seed):
    """A smooth image, and the same with noise."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand((1, 3, 16, 20), generator=generator)
    image = torch.nn.functional.interpolate(small, SHAPE[2:], mode='bilinear')
    return image, (image + 0.1 * torch.randn(SHAPE, generator=generator)).clamp(0, 1)


def score(metric, *pairs):
    """What the first of the pairs has, in a batch of them all."""
    images, noisy = (torch.cat(side) for side in zip(*pairs))
    return float(metric(noisy, images, data_range=1.0, reduction='none')[0])


print('version', version('piq'))
first = make(0)
black, gray = torch.zeros(SHAPE), torch.full(SHAPE, 0.5)
for name, *others in (
    ('alone',),
    ('with itself', first),
    ('with another image', make(1)),
    ('with a black image', (black, black)),
    ('with a gray image', (gray, gray)),
):
    print(f'{name}: SR-SIM {score(piq.srsim, first, *others):.3f}, FSIM {score(piq.fsim, first, *others):.3f}')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 0.8.0
alone: SR-SIM 0.858, FSIM 0.796
with itself: SR-SIM 0.858, FSIM 0.796
with another image: SR-SIM 0.874, FSIM 0.796
with a black image: SR-SIM 0.909, FSIM 0.796
with a gray image: SR-SIM 0.793, FSIM 0.796'
