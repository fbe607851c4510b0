#!/bin/sh
# torchvision makes white pixels black where it turns a float32 image into one of 16 bits: 1.0 becomes 0, while 0.99999
# becomes 65535. So it is with what goes through that: adjust_gamma by 1 and adjust_hue by 0, which are to change
# nothing, give a uint16 image back with its white made black.
#
# Version:    torchvision 0.29.1, torch 2.14.1, numpy 2.5.5, Python 3.13, 2026-12-01, on x86-64
# Expected:   65535 for 1.0, or an exception. The documentation says that floating images go from 0 to 1 and those of
#             integers from 0 to the largest of their type, that ToDtype(scale=True) scales between these ranges, and
#             that those that might overflow (float32 to int32) raise a RuntimeError. uint8, int16, and uint16 from
#             float64 are as expected.
# Seen:       version 0.29.1
#             gray of float32: 0.0 0.25 0.5 0.99999 1.0
#             to_dtype, uint8: 0 63 127 255 255
#             to_dtype, int16: 0 8191 16383 32767 32767
#             to_dtype, uint16: 0 16384 32768 65535 0
#             to_dtype, uint16 from float64: 0 16383 32767 65535 65535
#             convert_image_dtype, uint16: 0 16384 32768 65535 0
#             gray of uint16: 0 16384 32768 65535
#             to_dtype, float32 and back: 0 16384 32768 0
#             adjust_gamma by 1: 0 16384 32768 0
#             adjust_hue by 0: 0 16384 32768 0
# Reported:   not for this; pytorch/vision issue 6799 says it of float16 and bfloat16 to uint8
# With us:    nothing depends on it: sr_jax uses no transforms of torchvision
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'torchvision==0.29.1' 'torch==2.14.1' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import torch
import torchvision
from torchvision.transforms import functional as first
from torchvision.transforms.v2 import functional as second

GRAYS = 0.0, 0.25, 0.5, 0.99999, 1.0
GRAYS_OF_16_BITS = 0, 16384, 32768, 65535


def show(name, image):
    print(f'{name}:', *image[0, 0].tolist())


print('version', torchvision.__version__.split('+')[0])
print('gray of float32:', *GRAYS)
image = torch.tensor(GRAYS).expand(3, 1, -1)
show('to_dtype, uint8', second.to_dtype(image, torch.uint8, scale=True))
show('to_dtype, int16', second.to_dtype(image, torch.int16, scale=True))
show('to_dtype, uint16', second.to_dtype(image, torch.uint16, scale=True))
show('to_dtype, uint16 from float64', second.to_dtype(image.double(), torch.uint16, scale=True))
show('convert_image_dtype, uint16', first.convert_image_dtype(image, torch.uint16))
image = torch.tensor(GRAYS_OF_16_BITS, dtype=torch.uint16).expand(3, 1, -1)
show('gray of uint16', image)
floating = second.to_dtype(image, torch.float32, scale=True)
show('to_dtype, float32 and back', second.to_dtype(floating, torch.uint16, scale=True))
show('adjust_gamma by 1', second.adjust_gamma(image, 1))
show('adjust_hue by 0', second.adjust_hue(image, 0))
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 0.29.1
gray of float32: 0.0 0.25 0.5 0.99999 1.0
to_dtype, uint8: 0 63 127 255 255
to_dtype, int16: 0 8191 16383 32767 32767
to_dtype, uint16: 0 16384 32768 65535 0
to_dtype, uint16 from float64: 0 16383 32767 65535 65535
convert_image_dtype, uint16: 0 16384 32768 65535 0
gray of uint16: 0 16384 32768 65535
to_dtype, float32 and back: 0 16384 32768 0
adjust_gamma by 1: 0 16384 32768 0
adjust_hue by 0: 0 16384 32768 0'
