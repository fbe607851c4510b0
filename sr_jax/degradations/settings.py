"""The section `config.degradation`: which degradation, and the ranges of what it draws."""

import dataclasses

KERNELS = ('iso', 'aniso', 'generalized_iso', 'generalized_aniso', 'plateau_iso', 'plateau_aniso')
# The range of how strongly encoders compress: MPEG-2's quantizer, H.264's constant rate factor.
CODECS = {'mpeg2video': (1, 31), 'h264': (0, 51)}


def _check_probability(key: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f'{key}={value} is a probability and must lie in [0, 1]')


def _check_distribution(key: str, values: tuple[float, ...], names: tuple[str, ...]) -> None:
    if len(values) != len(names) or min(values) < 0 or abs(sum(values) - 1) > 1e-6:
        raise ValueError(
            f'{key}={values} must be the probabilities of {", ".join(names)}, which sum to 1'
        )


def _check_range(key: str, values: tuple[float, ...], least: float) -> None:
    if len(values) != 2 or not least <= values[0] <= values[1] < float('inf'):
        raise ValueError(f'{key}={values} must be (lowest, highest), and at least {least}')


@dataclasses.dataclass(frozen=True)
class BicubicSettings:
    """MATLAB's antialiased bicubic `imresize`, as benchmarks have it.

    Attributes:
      name: 'bicubic'.
      rounded: whether the small images are rounded to 8 bits, as if they had been saved.
    """

    name: str = 'bicubic'
    rounded: bool = True


@dataclasses.dataclass(frozen=True)
class GaussianSettings:
    """A Gaussian blur, then every n-th pixel, as recurrent networks for films are trained with.

    Attributes:
      name: 'gaussian'.
      sigma: standard deviation, in pixels of the true images.
    """

    name: str = 'gaussian'
    sigma: float = 1.5

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float('inf'):
            raise ValueError(f'sigma={self.sigma} must be positive')


@dataclasses.dataclass(frozen=True)
class TapeSettings:
    """What old tapes do; pairs are (lowest, highest) of what is drawn once for a clip.

    Attributes:
      name: 'tape'.
      sigma: of the blur before frames are made small, in pixels of the true images.
      gain, offset: of luma.
      saturation: of chroma.
      hue: of chroma, in degrees.
      drift: how far levels go, over a clip, towards others that are drawn, from 0 to 1.
      crosstalk: the share of luma and chroma that a decoder takes for each other.
      generations: how often the film was copied.
      luma_band, chroma_band: MHz at which 3 dB are lost in a generation.
      chroma_delay: pixels that chroma lies to the right.
      chroma_lines: lines that it lies below.
      noise: standard deviation of a generation's noise, in steps of 1/255.
      dropouts: the probability of each of three a frame.
      jitter: standard deviation of the shift of lines, in pixels.
      switch_prob: of lines displaced at the bottom.
      switch_shift: by at most so many pixels.
      switch_noise: their noise, in steps of 1/255.
      field_prob: that one field is kept and the other made of it.
      codec: through which clips go at last, on the host: '' (none), 'mpeg2video' or 'h264'.
      strength: of the compression: the encoder's quantizer (of mpeg2video, 1 to 31) or constant
        rate factor (of h264, 0 to 51).
    """

    name: str = 'tape'
    sigma: float = 1.5
    gain: tuple[float, ...] = (0.9, 1.1)
    offset: tuple[float, ...] = (-0.05, 0.05)
    saturation: tuple[float, ...] = (0.7, 1.2)
    hue: tuple[float, ...] = (-8.0, 8.0)
    drift: float = 0.1
    crosstalk: tuple[float, ...] = (0.0, 0.3)
    generations: tuple[int, ...] = (1, 2)
    luma_band: tuple[float, ...] = (2.4, 5.0)
    chroma_band: tuple[float, ...] = (0.4, 1.3)
    chroma_delay: tuple[float, ...] = (-1.0, 3.0)
    chroma_lines: tuple[int, ...] = (0, 2)
    noise: tuple[float, ...] = (0.0, 6.0)
    dropouts: float = 0.05
    jitter: float = 0.2
    switch_prob: float = 0.2
    switch_shift: float = 12.0
    switch_noise: float = 20.0
    field_prob: float = 0.2
    codec: str = ''
    strength: tuple[int, ...] = (4, 16)

    def __post_init__(self) -> None:
        for key in ('drift', 'dropouts', 'switch_prob', 'field_prob'):
            _check_probability(key, getattr(self, key))
        for key, least in (
            *(('gain', 0.0), ('offset', -1.0), ('saturation', 0.0), ('hue', -180.0)),
            *(('crosstalk', 0.0), ('generations', 1), ('luma_band', 0.3), ('chroma_band', 0.3)),
            *(('chroma_delay', -8.0), ('chroma_lines', 0), ('noise', 0.0)),
        ):
            _check_range(key, getattr(self, key), least)
        for key in ('sigma', 'jitter', 'switch_shift', 'switch_noise'):
            if not 0 <= getattr(self, key) < float('inf'):
                raise ValueError(f'{key}={getattr(self, key)} must not be negative')
        if self.codec and self.codec not in CODECS:
            raise ValueError(f"codec={self.codec!r}: it is '' or {' or '.join(CODECS)}")
        least, most = CODECS.get(self.codec, (0, 51))
        _check_range('strength', self.strength, least)
        if self.strength[1] > most:
            raise ValueError(f'strength={self.strength} goes beyond {most}')


@dataclasses.dataclass(frozen=True)
class PairedSettings:
    """None is made: the data holds small images beside the true ones, whatever a config names.

    Attributes:
      name: 'paired'.
    """

    name: str = 'paired'


@dataclasses.dataclass(frozen=True)
class StageSettings:
    """One of the two rounds of blur, resizing, noise and JPEG.

    Attributes:
      blur_prob: of any blur at all.
      sinc_prob: that a blur is a circular low-pass, else one of KERNELS.
      kernel_probs: of each of KERNELS.
      blur_sigma: range of standard deviations, in pixels.
      generalized_beta, plateau_beta: ranges of the exponents; half of the draws are under 1, if
        that is in the range.
      resize_probs: of enlarging, shrinking and keeping the size.
      resize_range: lowest and highest factor.
      gaussian_prob: that the noise is Gaussian, else it is Poisson noise.
      gaussian_sigma: range of standard deviations, in steps of 1/255.
      poisson_scale: range of the factor of Poisson noise.
      gray_prob: that the three channels share their noise.
      jpeg_quality: range of libjpeg's quality, both ends included.
    """

    blur_prob: float
    sinc_prob: float
    kernel_probs: tuple[float, ...]
    blur_sigma: tuple[float, ...]
    generalized_beta: tuple[float, ...]
    plateau_beta: tuple[float, ...]
    resize_probs: tuple[float, ...]
    resize_range: tuple[float, ...]
    gaussian_prob: float
    gaussian_sigma: tuple[float, ...]
    poisson_scale: tuple[float, ...]
    gray_prob: float
    jpeg_quality: tuple[int, ...]

    def __post_init__(self) -> None:
        for key in ('blur_prob', 'sinc_prob', 'gaussian_prob', 'gray_prob'):
            _check_probability(key, getattr(self, key))
        _check_distribution('kernel_probs', self.kernel_probs, KERNELS)
        _check_distribution('resize_probs', self.resize_probs, ('up', 'down', 'keep'))
        for key, least in (
            ('blur_sigma', 0.05),
            ('generalized_beta', 0.05),
            ('plateau_beta', 0.05),
            ('resize_range', 0.05),
            ('gaussian_sigma', 0.0),
            ('poisson_scale', 0.0),
            ('jpeg_quality', 1),
        ):
            _check_range(key, getattr(self, key), least)
        if self.jpeg_quality[1] > 100:
            raise ValueError(f'jpeg_quality={self.jpeg_quality} goes beyond 100')
        low, high = self.resize_range
        if not low <= 1 <= high:
            raise ValueError(f'resize_range={self.resize_range} must hold 1, the size kept')


# The numbers of Real-ESRGAN's published options (Wang et al. 2021, arXiv:2107.10833).
FIRST = StageSettings(
    blur_prob=1.0,
    sinc_prob=0.1,
    kernel_probs=(0.45, 0.25, 0.12, 0.03, 0.12, 0.03),
    blur_sigma=(0.2, 3.0),
    generalized_beta=(0.5, 4.0),
    plateau_beta=(1.0, 2.0),
    resize_probs=(0.2, 0.7, 0.1),
    resize_range=(0.15, 1.5),
    gaussian_prob=0.5,
    gaussian_sigma=(1.0, 30.0),
    poisson_scale=(0.05, 3.0),
    gray_prob=0.4,
    jpeg_quality=(30, 95),
)
SECOND = dataclasses.replace(
    FIRST,
    blur_prob=0.8,
    blur_sigma=(0.2, 1.5),
    resize_probs=(0.3, 0.4, 0.3),
    resize_range=(0.3, 1.2),
    gaussian_sigma=(1.0, 25.0),
    poisson_scale=(0.05, 2.5),
)


@dataclasses.dataclass(frozen=True)
class SecondOrderSettings:
    """Real-ESRGAN's degradation of the second order, with its numbers; see `second_order`.

    Attributes:
      name: 'second_order'.
      first, second: its two rounds.
      kernel_sizes: smallest and largest side of the blur kernels, odd; every odd side between them
        is equally likely.
      final_sinc_prob: of the low-pass near the end.
      sharpened: whether the targets, and what is degraded, are the sharpened images.
    """

    name: str = 'second_order'
    first: StageSettings = FIRST
    second: StageSettings = SECOND
    kernel_sizes: tuple[int, ...] = (7, 21)
    final_sinc_prob: float = 0.8
    sharpened: bool = True

    def __post_init__(self) -> None:
        _check_range('kernel_sizes', self.kernel_sizes, 3)
        if not all(side % 2 for side in self.kernel_sizes):
            raise ValueError(f'kernel_sizes={self.kernel_sizes} must be odd')
        _check_probability('final_sinc_prob', self.final_sinc_prob)
