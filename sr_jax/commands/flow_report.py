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
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sr_jax import models
from sr_jax.commands.shared import results, table
from sr_jax.commands.shared.image_jobs import (
    each_image,
    find_images,
    make_loaders,
    plan_folder,
)
from sr_jax.degradations import bicubic
from sr_jax.errors import InputError
from sr_jax.images.contact_sheet import repeat_pixels, sheet
from sr_jax.images.files import save_image
from sr_jax.images.finite import check_finite
from sr_jax.inference import networks
from sr_jax.inference.latents import noise
from sr_jax.losses.likelihood import bits_per_dimension
from sr_jax.metrics.gaussianity import Gaussianity, gaussianity
from sr_jax.metrics.protocol import parse
from sr_jax.models.protocols import Sampler

TEMPERATURES = (0.3, 0.6, 0.8, 1.0)
COLUMNS = 4
PROTOCOL = parse('rgb_crop0')
RANGE = 3.0  # standard errors from mid-grey to black and white
DIFFERENCE = 4.0  # how many times the difference is enlarged
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
    if not isinstance(network.module(), Sampler):
        raise InputError(
            f'{arguments.weights} holds a network of the kind {network.model["name"]!r}, which has '
            f'no latents: take one of {", ".join(models.names(Sampler))}'
        )
    flow = Flow(network)
    least = flow.multiple * MIN_SIDE // 2
    if arguments.size < least:
        raise InputError(f'--size {arguments.size}: it must be at least {least}')

    def show(image: np.ndarray, target: Path) -> None:
        hq = _crop_middle(image, arguments.size, flow.multiple)
        if not hq.size:
            raise InputError(f'under {flow.multiple} pixels a side; take a larger one')
        tiles, numbers = report(flow, hq, arguments.temperatures, arguments.seed)
        save_image(target, sheet(tiles, max(COLUMNS, len(arguments.temperatures))))
        table.write_json(target.with_suffix('.json'), numbers)
        _print(target, numbers)

    return each_image(make_loaders(images), files, show)


class Flow:
    """A trained SRFlow's functions of one image, compiled once for each size.

    Args:
      network: of `sr_jax.inference.networks.load`.
    """

    def __init__(self, network: networks.LoadedNetwork):
        module: Any = network.module()
        self.scale: int = module.scale
        self.multiple: int = module.scale * module.multiple
        self.latent_shapes = module.latent_shapes

        @jax.jit
        def encode(variables, lq, hq):
            condition = module.apply(variables, lq[None], method='condition')
            return module.apply(variables, hq[None], condition, method='encode')

        @jax.jit
        def sample(variables, lq, latents):
            given = tuple(z[None] for z in latents)
            return module.apply(variables, lq[None], given, method='sample')[0]

        # The same programs for all weights.
        self.encode = functools.partial(encode, network.variables)
        self.sample = functools.partial(sample, network.variables)
        self._source = network.source

    def shrink(self, hq: np.ndarray) -> jax.Array:
        """Returns the small image, by the bicubic degradation, rounded."""
        return bicubic.degrade(jnp.asarray(hq)[None], self.scale, rounded=True)[0]

    def look(self, lq: jax.Array, hq: np.ndarray) -> Any:
        """Returns the `Encoding` of a true image; raises InputError where it is not finite."""
        encoding = self.encode(lq, hq)
        check_finite(encoding, f'what {self._source} makes of the true image')
        return encoding

    def draw(self, lq: jax.Array, temperature: float, seed: int) -> np.ndarray:
        """Returns a sample, in [0, 1]; raises InputError where it is not finite."""
        shapes = self.latent_shapes(*lq.shape[:2])
        latents = [temperature * noise((seed, 0, i), (0, 0), s) for i, s in enumerate(shapes)]
        image = np.asarray(self.sample(lq, latents))
        check_finite(image, f'what {self._source} draws at temperature {temperature:g}')
        return np.clip(image, 0, 1)


def report(
    flow: Flow, hq: np.ndarray, temperatures: list[float], seed: int
) -> tuple[list[tuple[str, np.ndarray]], dict[str, Any]]:
    """Returns the titled images of a sheet, and the numbers, of a true image.

    Args:
      flow: the network.
      hq: the image, in [0, 1], its sides multiples of `flow.multiple`.
      temperatures: of the samples.
      seed: of the samples.

    Raises:
      InputError: what the flow makes is not finite.
    """
    lq = flow.shrink(hq)
    encoding = flow.look(lq, hq)
    mean = flow.draw(lq, 0.0, seed)
    difference = np.clip(0.5 + DIFFERENCE * (hq - mean), 0, 1)
    tiles = [
        ('true', hq),
        ('small', repeat_pixels(np.asarray(lq), flow.scale)),
        ('latents of zero', mean),
        (f'true less that, {DIFFERENCE:g} times', difference),
    ]
    psnrs = {'0': PROTOCOL.psnr(mean, hq)}
    for temperature in temperatures:
        image = flow.draw(lq, temperature, seed)
        tiles.append((f'temperature {temperature:g}', image))
        psnrs[f'{temperature:g}'] = PROTOCOL.psnr(image, hq)
    levels = {}
    for i, latents in enumerate(np.asarray(z[0]) for z in encoding.latents):
        levels[f'latents {i}'] = gaussianity(latents)
        tiles += _draw_latents(f'latents {i}', latents, hq.shape[0] // latents.shape[0])
    bits = float(bits_per_dimension(encoding.log_likelihood, hq.size)[0])
    return tiles, {
        'bits_per_dimension': bits,
        f'psnr_{PROTOCOL.name}_by_temperature': psnrs,
        'latents': {name: _as_json(found) for name, found in levels.items()},
    }


def _draw_latents(name: str, latents: np.ndarray, factor: int) -> list[tuple[str, np.ndarray]]:
    """Returns mean and deviation over channels, in standard errors of white noise around them."""
    channels = latents.shape[-1]
    mean = latents.mean(-1) * math.sqrt(channels)
    deviation = (latents.std(-1, ddof=1) - 1) * math.sqrt(2 * (channels - 1))
    tiles = []
    for what, errors in (('mean', mean), ('deviation', deviation)):
        gray = np.clip(0.5 + errors / (2 * RANGE), 0, 1).astype(np.float32)
        pixels = repeat_pixels(np.repeat(gray[..., None], 3, axis=-1), factor)
        tiles.append((f'{name}: {what} of {channels}', pixels))
    return tiles


def _crop_middle(image: np.ndarray, size: int, multiple: int) -> np.ndarray:
    """Returns the middle of an image, of sides that are multiples, and at most so many pixels."""
    corners = []
    for side in image.shape[:2]:
        length = min(side, size) // multiple * multiple
        corners.append(slice((side - length) // 2, (side - length) // 2 + length))
    return image[corners[0], corners[1]]


def _as_json(found: Gaussianity) -> dict[str, Any]:
    """Returns the statistics as JSON has them."""
    lags = {f'{down},{right}': r for (down, right), r in found.autocorrelation.items()}
    return {**found._asdict(), 'autocorrelation': lags}


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
