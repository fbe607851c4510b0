#!/bin/sh
# torchvision's FCOS puts its locations on grids of 61 x 64 and 114 x 120 pixels, where the layers' strides are 64 and 128.
#
# Version:    torchvision 0.29.1, torch 2.14.1, Python 3.13, 2026-11-29
# Expected:   locations as far apart as the layer's stride, as in the paper (Tian et al. 2019, arXiv:1904.01355,
#             section 3.1, with s = 8, 16, 32, 64, 128) and in the authors' code. The features of the two coarsest layers
#             round up (13 rows of 64 pixels for 800); torchvision divides the height of the batch by the rows and
#             rounds down, so that the last row of the coarsest layer lies 84 pixels above where its features come
#             from, and by how much depends on the size of the batch. RetinaNet has the same generator.
# Seen:       version 0.29.1
#             batch (800, 1088) features (100, 136) (50, 68) (25, 34) (13, 17) (7, 9)
#             stride 8: locations 8 and 8 pixels apart
#             stride 16: locations 16 and 16 pixels apart
#             stride 32: locations 32 and 32 pixels apart
#             stride 64: locations 61 and 64 pixels apart
#             stride 128: locations 114 and 120 pixels apart
# Reported:   not yet
# With us:    sr_jax/models/fcos.py takes the strides of the layers; the comparison with torchvision is made at a size
#             that all of them divide
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet 'torchvision==0.29.1' 'torch==2.14.1' || exit 1

cat > "$folder/show.py" <<'END'
import torch
import torchvision
from torchvision.models.detection import fcos_resnet50_fpn

print('version', torchvision.__version__.split('+')[0])
model = fcos_resnet50_fpn(weights=None, weights_backbone=None).eval()
seen = []
model.anchor_generator.register_forward_hook(lambda module, given, made: seen.append((given, made)))
with torch.no_grad():
    model([torch.zeros(3, 480, 640)])
(images, maps), (anchors,) = seen[0]
sizes = [tuple(level.shape[-2:]) for level in maps]
print('batch', tuple(images.tensors.shape[-2:]), 'features', *sizes)
begin = 0
for stride, (height, width) in zip((8, 16, 32, 64, 128), sizes):
    level = anchors[begin : begin + height * width].reshape(height, width, 4)
    begin += height * width
    centers = (level[..., :2] + level[..., 2:]) / 2
    down = (centers[1, 0, 1] - centers[0, 0, 1]).item()
    right = (centers[0, 1, 0] - centers[0, 0, 0]).item()
    print(f'stride {stride}: locations {down:.0f} and {right:.0f} pixels apart')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 0.29.1
batch (800, 1088) features (100, 136) (50, 68) (25, 34) (13, 17) (7, 9)
stride 8: locations 8 and 8 pixels apart
stride 16: locations 16 and 16 pixels apart
stride 32: locations 32 and 32 pixels apart
stride 64: locations 61 and 64 pixels apart
stride 128: locations 114 and 120 pixels apart'
