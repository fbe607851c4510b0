"""What a flow makes of true images: samples by temperature, and its latents.

The tests are those of "Training SRFlow in DLAS (and why you shouldn't)", an article of James
Betker. `sr-jax flow-report --help` says what a sheet shows.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sr_jax import models
from sr_jax.degradations import bicubic
from sr_jax.errors import InputError
from sr_jax.images.contact_sheet import repeat_pixels
from sr_jax.images.finite import check_finite
from sr_jax.inference.latents import noise
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.losses.likelihood import bits_per_dimension
from sr_jax.metrics.gaussianity import Gaussianity, gaussianity
from sr_jax.metrics.protocol import parse
from sr_jax.models.protocols import Sampler

TEMPERATURES = (0.3, 0.6, 0.8, 1.0)
COLUMNS = 4
PROTOCOL = parse('rgb_crop0')
RANGE = 3.0  # standard errors from mid-grey to black and white
DIFFERENCE = 4.0  # how many times the difference is enlarged


class Flow:
    """A trained SRFlow's functions of one image, compiled once for each size.

    Args:
      network: of `sr_jax.inference.networks.load`.

    Raises:
      InputError: it has no latents.
    """

    def __init__(self, network: LoadedNetwork):
        module: Any = network.module()
        if not isinstance(network.module(), Sampler):
            raise InputError(
                f'{network.source} holds a network of the kind {network.model["name"]!r}, which '
                f'has no latents: take one of {", ".join(models.names(Sampler))}'
            )
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
    flow: Flow, hq: np.ndarray, temperatures: Sequence[float], seed: int
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


def crop_middle(image: np.ndarray, size: int, multiple: int) -> np.ndarray:
    """Returns the middle of an image, of sides that are multiples, and at most so many pixels.

    Raises:
      InputError: it is too small for one multiple.
    """
    corners = []
    for side in image.shape[:2]:
        length = min(side, size) // multiple * multiple
        corners.append(slice((side - length) // 2, (side - length) // 2 + length))
    middle = image[corners[0], corners[1]]
    if not middle.size:
        raise InputError(f'under {multiple} pixels a side; take a larger one')
    return middle


def _as_json(found: Gaussianity) -> dict[str, Any]:
    """Returns the statistics as JSON has them."""
    lags = {f'{down},{right}': r for (down, right), r in found.autocorrelation.items()}
    return {**found._asdict(), 'autocorrelation': lags}
