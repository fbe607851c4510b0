"""How much a smaller halo changes an enlarged picture: the largest difference from the whole one's.

  python benchmarks/halo.py --weights realesrgan-x4plus PICTURE...

Of each picture the lower right 256 x 96 pixels are enlarged whole, and then in windows of at most
128 pixels and the halo. Differences are of pictures in [0, 1]. It measures no time. What we found
is in RESULTS.md.
"""

import argparse
import sys
from pathlib import Path

import jax
import numpy as np

from sr_jax import image_io, networks
from sr_jax.errors import exit_status
from sr_jax.upscaling import Upscaler

HEIGHT, WIDTH, CORE = 96, 256, 128
HALOS = (8, 16, 32, 64, 96)


def main() -> int:
    """Prints a row for each picture and halo."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--weights', required=True)
    parser.add_argument('pictures', nargs='+', type=Path)
    arguments = parser.parse_args()
    network = networks.load(arguments.weights)
    one = jax.devices()[:1]
    whole = Upscaler(network, devices=one)
    print('| picture | halo | largest difference | of 256 levels | mean |\n|---|---|---|---|---|')
    for path in arguments.pictures:
        picture = image_io.load(path)[-HEIGHT:, -WIDTH:]
        expected = whole(picture)
        for halo in HALOS:
            upscaler = Upscaler(network, halo=halo, tile=CORE + halo, devices=one)
            difference = np.abs(upscaler(picture) - expected)
            largest = difference.max()
            row = (path.name, halo, f'{largest:.2g}', f'{255 * largest:.1f}')
            print('|', *[f'{cell} |' for cell in row], f'{difference.mean():.2g} |', flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(exit_status(main))
