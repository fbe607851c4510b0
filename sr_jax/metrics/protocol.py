"""How PSNR and SSIM are measured, by name, since numbers by different protocols do not compare."""

import dataclasses
import difflib
import re

import numpy as np
from jaxtyping import Float

from sr_jax.errors import InputError
from sr_jax.images.decoding import to_uint8
from sr_jax.metrics.color import rgb_to_ycbcr
from sr_jax.metrics.psnr import psnr
from sr_jax.metrics.shapes import check_image
from sr_jax.metrics.ssim import ssim

_COMMON = tuple(
    f'{channels}_crop{crop}' for channels in ('rgb', 'y_matlab') for crop in (0, 2, 3, 4, 8)
)


@dataclasses.dataclass(frozen=True)
class Protocol:
    """One way to measure: both images are rounded to 8 bits, cropped, and perhaps made grey.

    As `calculate_psnr` and `calculate_ssim` of BasicSR do it.

    Attributes:
      name: what `parse` understands.
      luma: measure Y of BT.601 (MATLAB's) instead of R, G and B together; Y is not rounded.
      crop: pixels cut off at every edge, before the conversion to Y; by custom the scale factor.
    """

    name: str
    luma: bool
    crop: int

    def psnr(
        self, image: Float[np.ndarray, 'h w 3'], reference: Float[np.ndarray, 'h w 3']
    ) -> float:
        """Returns PSNR in dB of two images in [0, 1] (see `sr_jax.metrics.psnr`).

        Raises InputError where one is no RGB image, or nothing is left of it.
        """
        return psnr(self._prepare(image), self._prepare(reference), peak=255)

    def ssim(
        self, image: Float[np.ndarray, 'h w 3'], reference: Float[np.ndarray, 'h w 3']
    ) -> float:
        """Returns SSIM of two images in [0, 1] (see `sr_jax.metrics.ssim`).

        Raises InputError where one is no RGB image, or too little is left of it.
        """
        return ssim(self._prepare(image), self._prepare(reference), peak=255)

    def _prepare(self, image: Float[np.ndarray, 'h w 3']) -> Float[np.ndarray, 'h_left w_left c']:
        check_image(image)
        height, width = image.shape[:2]
        if min(height, width) <= 2 * self.crop:
            raise InputError(
                f'nothing is left of {width}x{height} pixels when the protocol {self.name!r} crops '
                f'{self.crop} pixels at every edge'
            )
        image = to_uint8(image[self.crop : height - self.crop, self.crop : width - self.crop])
        if not self.luma:
            return image.astype(np.float64)
        return 255 * rgb_to_ycbcr(image / 255)[..., :1]


def parse(name: str) -> Protocol:
    """Returns the protocol 'rgb_crop<pixels>' or 'y_matlab_crop<pixels>'.

    Raises:
      InputError: no such protocol; the message has the nearest one.
    """
    match = re.fullmatch(r'(rgb|y_matlab)_crop(0|[1-9][0-9]{0,3})', name)
    if match is None:
        alike = [known for known in _COMMON if known[0] == name[:1].lower()]
        nearest = difflib.get_close_matches(name.lower(), alike, n=1, cutoff=0.3)
        guess = f'did you mean {nearest[0]!r}? ' if nearest else ''
        raise InputError(
            f"no such protocol: {name!r}; {guess}There are 'rgb_crop<pixels>' and "
            "'y_matlab_crop<pixels>'"
        )
    return Protocol(name, luma=match[1] == 'y_matlab', crop=int(match[2]))


def parse_all(names: str) -> list[Protocol]:
    """Returns the protocols of names with commas between them, such as 'y_matlab_crop4,rgb_crop4'.

    Raises:
      InputError: no such protocol.
    """
    return [parse(name) for name in dict.fromkeys(name.strip() for name in names.split(','))]
