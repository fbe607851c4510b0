"""Shows what a flow makes of true images: samples by temperature, and its latents.

  python -m sr_jax flow-report runs/srflow photo.png --output report/

For each image a sheet: the image, the small one, the image of latents that are zero, its
difference to the truth (grey where there is none), samples by temperature, and of each level's
latents the mean and standard deviation over channels, in units in which white noise looks like
white noise. Structure that shows there has not been turned into noise, so no noise will draw it.
Tests say how Gaussian the latents are.
The numbers are printed, and written to a JSON file beside the sheet.

The tests are those of "Training SRFlow in DLAS (and why you shouldn't)", an article of James
Betker.
"""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sr_jax.commands.shared import results, table
from sr_jax.commands.shared.image_jobs import (
    each_image,
    find_images,
    make_loaders,
    plan_folder,
)
from sr_jax.errors import InputError
from sr_jax.images.contact_sheet import sheet
from sr_jax.images.files import save_image
from sr_jax.inference import networks
from sr_jax.inference.flow_report import (
    COLUMNS,
    PROTOCOL,
    TEMPERATURES,
    Flow,
    crop_middle,
    report,
)

MIN_SIDE = 2  # of a small image


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `sr-jax flow-report`."""
    parser.add_argument('weights', metavar='RUN', help='a run, or a file of weights, of an SRFlow')
    parser.add_argument(
        'images', nargs='+', metavar='IMAGE', type=Path, help='true ones, or folders of them'
    )
    results.add_arguments(parser, 'flow_report', 'the folder where sheets and numbers go')
    parser.add_argument(
        '--size',
        type=int,
        default=256,
        metavar='PIXELS',
        help='longest side; of larger images the middle is taken (default: %(default)s)',
    )
    parser.add_argument(
        '--temperatures',
        '--heats',
        type=float,
        nargs='+',
        default=TEMPERATURES,
        metavar='TEMPERATURE',
        help='of the samples (default: 0.3 0.6 0.8 1.0)',
    )
    parser.add_argument('--seed', type=int, default=0, help='of the samples')
    parser.add_argument(
        '--best', action='store_true', help="take a run's best checkpoint instead of its newest"
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes `<output>/<name>.png` and `.json` for each image, and prints the numbers.

    Returns:
      0, or 1 when an image could not be read, or is too small.

    Raises:
      InputError: no such weights or images, weights of another network, or a number that cannot
        be meant.
    """
    temperatures = arguments.temperatures
    if arguments.seed < 0 or not all(0 <= value < math.inf for value in temperatures):
        raise InputError(
            f'--seed {arguments.seed} --temperatures {temperatures}: none may be negative'
        )
    found = find_images(arguments.images, Path(arguments.output))
    images, files = plan_folder(arguments, found, beside=['.json'])
    network = networks.load(arguments.weights, best=arguments.best)
    flow = Flow(network)
    least = flow.multiple * MIN_SIDE // 2
    if arguments.size < least:
        raise InputError(f'--size {arguments.size}: it must be at least {least}')

    def show(image: np.ndarray, target: Path) -> None:
        hq = crop_middle(image, arguments.size, flow.multiple)
        tiles, numbers = report(flow, hq, arguments.temperatures, arguments.seed)
        save_image(target, sheet(tiles, max(COLUMNS, len(arguments.temperatures))))
        table.write_json(target.with_suffix('.json'), numbers)
        _print(target, numbers)

    return each_image(make_loaders(images), files, show)


def _print(target: Path, numbers: Mapping[str, Any]) -> None:
    print(f'{target}  {numbers["bits_per_dimension"]:.3f} bits per dimension')
    by_temperature = numbers[f'psnr_{PROTOCOL.name}_by_temperature']
    psnrs = ', '.join(f'{value}: {psnr:.2f}' for value, psnr in by_temperature.items())
    print(f'  psnr_rgb_crop0 in dB by temperature  {psnrs}')
    for name, found in numbers['latents'].items():
        lags = ' '.join(f'({lag}) {r:+.3f}' for lag, r in found['autocorrelation'].items())
        print(
            f'  {name}: mean {found["mean"]:+.3f}, deviation {found["deviation"]:.3f}, skewness '
            f'{found["skewness"]:+.2f}, kurtosis {found["kurtosis"]:+.2f}, between channels '
            f'{found["channel_correlation"]:.3f}'
        )
        worst = max(found['deviates'], key=found['deviates'].get)
        print(f'    autocorrelation by rows,columns: {lags}')
        print(
            f'    furthest from noise: {worst}, by {found["deviates"][worst]:.1f} standard errors'
        )
