"""Enlarges an image by ncnn's Python, for `command_to_file.py`: PARAM BIN IMAGE OUTPUT."""

import sys

import ncnn
import numpy as np
from PIL import Image


def main(param: str, weights: str, source: str, target: str) -> None:
    """Reads, enlarges and writes, with two threads and in float32."""
    net = ncnn.Net()
    net.opt.num_threads = 2
    for half in ('fp16_packed', 'fp16_storage', 'fp16_arithmetic', 'bf16_storage'):
        setattr(net.opt, f'use_{half}', False)
    net.load_param(param)
    net.load_model(weights)
    pixels = np.asarray(Image.open(source).convert('RGB'), np.float32) / 255
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))  # ncnn only points to them
    with net.create_extractor() as extractor:
        extractor.input('data', ncnn.Mat(planes))
        made = np.array(extractor.extract('output')[1]).transpose(1, 2, 0)
    Image.fromarray(np.uint8(np.rint(made.clip(0, 1) * 255))).save(target)


if __name__ == '__main__':
    main(*sys.argv[1:])
