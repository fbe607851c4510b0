#!/bin/sh
# An RCAN that spandrel opened multiplies the caller's image by 255, so that its second answer is another one.
#
# Version:    spandrel 0.4.2, torch 2.14.1, Python 3.13, 2026-11-28
# Expected:   the image as it was, and twice the same answer. What ImageModelDescriptor.__call__ says of its input is the
#             shape, the type, the device and the range [0, 1]; not that it becomes another one. The RCAN of the
#             paper's authors leaves its input alone.
# Seen:       version 0.4.2
#             sides 8 and 12: image as before False, largest 1.0 then 255.0, same answer twice False
# Reported:   not yet
# With us:    nothing depends on it; our comparison gives spandrel a copy of the image
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet 'spandrel==0.4.2' 'torch==2.14.1' || exit 1

cat > "$folder/show.py" <<'END'
import importlib.metadata

import spandrel
import torch
from spandrel.architectures.RCAN import RCAN

print('version', importlib.metadata.version('spandrel'))
torch.manual_seed(0)
state = RCAN(scale=2, n_resgroups=1, n_resblocks=1, n_feats=16, reduction=4).state_dict()
model = spandrel.ModelLoader().load_from_state_dict(state).eval()
image = torch.linspace(0, 1, 3 * 8 * 12).reshape(1, 3, 8, 12)
before = image.clone()
first = model(image)
same_image = torch.equal(image, before)
largest = f'{before.max().item():.1f} then {image.max().item():.1f}'
second = model(image)
print(
    f'sides 8 and 12: image as before {same_image}, largest {largest}, '
    f'same answer twice {torch.equal(first, second)}'
)
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 0.4.2
sides 8 and 12: image as before False, largest 1.0 then 255.0, same answer twice False'
