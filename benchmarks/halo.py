"""How much a smaller halo changes an enlarged image: the largest difference from the whole one's.

  python benchmarks/halo.py --weights realesrgan-x4plus IMAGE...

Of each image the lower right 256 x 96 pixels are enlarged whole, and then in windows of at most
128 pixels and the halo. Differences are of images in [0, 1]. It measures no time. What we found
is in RESULTS.md.
"""

import argparse
import sys
from pathlib import Path

import jax
import numpy as np

from sr_jax.errors import exit_status
from sr_jax.images.files import load_image
from sr_jax.inference import networks
from sr_jax.inference.upscaler import Upscaler

HEIGHT, WIDTH, CORE = 96, 256, 128
HALOS = (8, 16, 32, 64, 96)


def main() -> int:
    """Prints a row for each image and halo."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--weights', required=True)
    parser.add_argument('images', nargs='+', type=Path)
    arguments = parser.parse_args()
    network = networks.load(arguments.weights)
    one = jax.devices()[:1]
    whole = Upscaler(network, devices=one)
    print('| image | halo | largest difference | of 256 levels | mean |\n|---|---|---|---|---|')
    for path in arguments.images:
        image = load_image(path)[-HEIGHT:, -WIDTH:]
        expected = whole(image)
        for halo in HALOS:
            upscaler = Upscaler(network, halo=halo, tile=CORE + halo, devices=one)
            difference = np.abs(upscaler(image) - expected)
            largest = difference.max()
            row = (path.name, halo, f'{largest:.2g}', f'{255 * largest:.1f}')
            print('|', *[f'{cell} |' for cell in row], f'{difference.mean():.2g} |', flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(exit_status(main))
