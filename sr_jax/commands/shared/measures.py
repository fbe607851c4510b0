"""What `benchmark` measures of whole images, each number under a name that holds its protocol."""

import argparse
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from sr_jax.degradations import bicubic
from sr_jax.errors import InputError
from sr_jax.images.decoding import to_float
from sr_jax.inference import networks
from sr_jax.metrics import lpips
from sr_jax.metrics.fid import Fid
from sr_jax.metrics.lpips import Lpips
from sr_jax.metrics.protocol import Protocol, parse, parse_all
from sr_jax.models import inception

CONSISTENCY = parse('rgb_crop0')


class Measures:
    """Measures of one image against the true one.

    'psnr_<protocol>' in dB and 'ssim_<protocol>'; 'lpips_alex' and 'lpips_vgg'; and, where the
    scale is known, 'lq_psnr_rgb_crop0' in dB: the PSNR of the result, shrunk by the bicubic
    degradation and rounded, against the small image. Lugmayr et al., SRFlow, 2020
    (arXiv:2006.14200), report this consistency as LR-PSNR.

    Args:
      protocols: of PSNR and SSIM.
      perceptual: LPIPS of one or more kinds.
      scale: of the enlargement; None: the consistency is not measured.
    """

    def __init__(
        self, protocols: Sequence[Protocol], perceptual: Sequence[Lpips], scale: int | None
    ):
        self._protocols = protocols
        self._perceptual = perceptual
        self._scale = scale
        self.names = [f'{kind}_{p.name}' for p in protocols for kind in ('psnr', 'ssim')]
        self.names += [metric.name for metric in perceptual]
        if scale is not None:
            self.names.append(f'lq_psnr_{CONSISTENCY.name}')

    def __call__(
        self, image: np.ndarray, hq: np.ndarray, lq: np.ndarray | None
    ) -> dict[str, float]:
        """Returns the numbers by their names.

        Args:
          image: the result, float32 in [0, 1]; what was not yet is rounded to 8 bits.
          hq: the true image, alike.
          lq: the small image in its own precision.

        Raises:
          InputError: an image too small for a measure.
        """
        found: dict[str, float] = {}
        for protocol in self._protocols:
            found[f'psnr_{protocol.name}'] = protocol.psnr(image, hq)
            found[f'ssim_{protocol.name}'] = protocol.ssim(image, hq)
        for metric in self._perceptual:
            found[metric.name] = metric(image, hq)
        if self._scale is not None and lq is not None:
            shrunk = bicubic.degrade(jnp.asarray(image)[None], self._scale, rounded=True)[0]
            name = f'lq_psnr_{CONSISTENCY.name}'
            found[name] = CONSISTENCY.psnr(np.asarray(shrunk), to_float(lq))
        return found


def average(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the mean of each number over the images."""
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def add_lpips(group: argparse._ActionsContainer) -> None:
    """Adds the argument `--lpips`."""
    group.add_argument(
        '--lpips',
        action='append',
        choices=tuple(lpips.KINDS),
        help='measure LPIPS with AlexNet or VGG16; may be given twice. The weights come from the '
        'Python package index the first time',
    )


def read_protocols(names: str | None, scale: int | None) -> list[Protocol]:
    """Returns the protocols of a list with commas; by default Y and RGB, cropped by the scale.

    Raises:
      InputError: no such protocol.
    """
    crop = scale or 0
    return parse_all(names or f'y_matlab_crop{crop},rgb_crop{crop}')


def load_perceptual(kinds: Sequence[str]) -> list[Lpips]:
    """Returns LPIPS of each kind, once; raises InputError where its weights cannot be fetched."""
    return [lpips.load(kind) for kind in dict.fromkeys(kinds)]


def load_fid(weights: str, resize: str) -> Fid:
    """Returns FID with a file of its network's weights.

    Raises:
      InputError: no such file, or it is of another network.
    """
    network = networks.load(weights)
    module = network.module()
    if not isinstance(module, inception.Model):
        raise InputError(
            f'{weights}: FID needs the InceptionV3 of mseitzer/pytorch-fid '
            f'(pt_inception-2015-12-05), and these are weights of {network.model["name"]}'
        )
    return Fid(module, network.variables, resize)
