"""What bfloat16 changes of images by published weights, against float32.

  python benchmarks/bfloat16_cost.py PHOTO... [--weights realesrgan-x4plus] [--products few]

Of each photograph a square from its middle is shrunk bicubically and enlarged in both types. Prints
the largest and the mean difference, of 255 levels, and both images' PSNR to the square.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np

from sr_jax.images.files import load_image
from sr_jax.images.resize import imresize
from sr_jax.inference import networks
from sr_jax.inference.programs import PRODUCTS
from sr_jax.inference.upscaler import Upscaler
from sr_jax.metrics.psnr import psnr


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('photos', nargs='+', type=Path, metavar='PHOTO')
    parser.add_argument('--weights', default='realesrgan-x4plus')
    parser.add_argument('--side', type=int, default=384, help='of the square')
    parser.add_argument('--products', choices=PRODUCTS, default='auto', help='in bfloat16')
    return parser.parse_args()


def middle(image: np.ndarray, side: int) -> np.ndarray:
    """The square in the middle of an image."""
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def main() -> None:
    """Compares the two types on each photograph."""
    args = parse_arguments()
    network = networks.load(args.weights)
    exact = Upscaler(network, products='all')
    rough = Upscaler(network, dtype='bfloat16', products=args.products)
    largest, means, losses = [], [], []
    for path in args.photos:
        truth = middle(load_image(path), args.side)
        lq = np.asarray(imresize(truth, 1 / exact.scale), np.float32).clip(0, 1)
        wanted, found = exact(lq), rough(lq)
        difference = 255 * np.abs(found - wanted)
        decibels = psnr(wanted, truth, 1), psnr(found, truth, 1)
        largest.append(float(difference.max()))
        means.append(float(difference.mean()))
        losses.append(decibels[0] - decibels[1])
        print(
            f'{path.name}: at most {largest[-1]:.1f}, mean {means[-1]:.2f} of 255 levels; PSNR '
            f'{decibels[0]:.2f} dB in float32, {decibels[1]:.2f} in bfloat16',
            flush=True,
        )
    print(
        f'{len(largest)} photographs: at most {max(largest):.1f}, mean {statistics.mean(means):.2f}'
        f' of 255 levels; bfloat16 loses {statistics.mean(losses):.3f} dB, at most '
        f'{max(losses):.3f}'
    )


if __name__ == '__main__':
    main()
