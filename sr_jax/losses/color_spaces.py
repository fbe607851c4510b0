"""sRGB in spaces in which colors lie as people see them; differentiable."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Linear sRGB to CIE XYZ with the white D65 (IEC 61966-2-1), and back.
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip
FROM_XYZ = np.linalg.inv(TO_XYZ)
EPSILON, KAPPA = 216 / 24389, 24389 / 27  # of CIE's lightness
DARK = 1e-6  # roots are taken of no less: their gradients end


def linearize(rgb: Float[Array, '*shape']) -> Float[Array, '*shape']:
    """Light of sRGB values in [0, 1]: IEC 61966-2-1."""
    above = ((jnp.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4
    return jnp.where(rgb <= 0.04045, rgb / 12.92, above)


def lightness(luminance: Float[Array, '*shape']) -> Float[Array, '*shape']:
    """CIE's L* over 100, in [0, 1], of the luminance Y in [0, 1]."""
    above = 116 * jnp.cbrt(jnp.maximum(luminance, EPSILON)) - 16
    return jnp.where(luminance <= EPSILON, KAPPA * luminance, above) / 100


def luma(rgb: Float[Array, 'n h w 3']) -> Float[Array, 'n h w 1']:
    """CIE's L* over 100 of images of sRGB in [0, 1]."""
    return lightness(linearize(rgb) @ jnp.asarray(TO_XYZ[1:2].T, jnp.float32))


def oklab(rgb: Float[Array, 'n h w 3']) -> Float[Array, 'n h w 3']:
    """Oklab of images of sRGB in [0, 1]: Ottosson, A perceptual color space for image processing,
    2020 (bottosson.github.io/posts/oklab), by its matrices."""
    to_lms = [[0.4122214708, 0.5363325363, 0.0514459929],
              [0.2119034982, 0.6806995451, 0.1073969566],
              [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
    to_lab = [[0.2104542553, 0.7936177850, -0.0040720468],
              [1.9779984951, -2.4285922050, 0.4505937099],
              [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip
    cones = linearize(rgb) @ jnp.asarray(to_lms, jnp.float32).T
    return jnp.cbrt(jnp.maximum(cones, DARK)) @ jnp.asarray(to_lab, jnp.float32).T


def hsluv(
    rgb: Float[Array, 'n h w 3'],
) -> tuple[Float[Array, 'n h w'], Float[Array, 'n h w'], Float[Array, 'n h w']]:
    """Hue in radians, saturation and lightness in [0, 1] of images of sRGB in [0, 1].

    HSLuv (hsluv.org) is CIE Luv in polar coordinates, its chroma over the largest that sRGB has at
    that lightness and hue: where a line of one hue meets the nearest of the six planes on which
    red, green or blue is 0 or 1. Grey has the hue 0 and the saturation 0.
    """
    xyz = linearize(rgb) @ jnp.asarray(TO_XYZ.T, jnp.float32)
    light = lightness(xyz[..., 1])
    white = TO_XYZ.sum(axis=1)
    weights, white_sum = jnp.array([1.0, 15.0, 3.0]), white @ [1, 15, 3]
    total = jnp.maximum(xyz @ weights, DARK)
    u = 13 * light * (4 * xyz[..., 0] / total - 4 * white[0] / white_sum)
    v = 13 * light * (9 * xyz[..., 1] / total - 9 * white[1] / white_sum)
    squared = u**2 + v**2
    grey = squared < DARK
    u, v = jnp.where(grey, 1.0, u), jnp.where(grey, 0.0, v)
    chroma, hue = jnp.sqrt(u**2 + v**2), jnp.arctan2(v, u)
    most = _most_chroma(light, u / chroma, v / chroma)
    saturation = jnp.where(grey, 0.0, jnp.minimum(chroma / most, 1.0))
    return hue, saturation, light


def _most_chroma(light: Array, cosine: Array, sine: Array) -> Array:
    """The largest chroma (over 100) that sRGB has at a lightness (over 100) and a hue.

    With Luv's definitions put into the planes channel = 0 and channel = 1, each is a line in the
    plane of u and v; what is returned is the nearest one along the hue.
    """
    luminance = jnp.where(
        light * 100 > KAPPA * EPSILON, ((light * 100 + 16) / 116) ** 3, light * 100 / KAPPA
    )
    white = TO_XYZ.sum(axis=1)
    white_sum = float(white @ [1, 15, 3])
    u0, v0 = 4 * float(white[0]) / white_sum, 9 * float(white[1]) / white_sum
    safe = jnp.maximum(light, DARK)
    nearest = jnp.full_like(light, jnp.inf)
    for red, green, blue in FROM_XYZ:
        for bound in (0.0, 1.0):
            # channel = red X + green Y + blue Z, X = Y 9u'/4v', Z = Y (12 - 3u' - 20v')/4v'
            along = (9 * red - 3 * blue) * cosine + (4 * green - 20 * blue) * sine
            at_white = (9 * red - 3 * blue) * u0 + (4 * green - 20 * blue) * v0 + 12 * blue
            numerator = 4 * bound * v0 - luminance * at_white
            denominator = (luminance * along - 4 * bound * sine) / (13 * safe)
            steps = numerator / jnp.where(jnp.abs(denominator) < DARK, DARK, denominator)
            nearest = jnp.where(steps > 0, jnp.minimum(nearest, steps), nearest)
    return jnp.where(jnp.isfinite(nearest), jnp.maximum(nearest, DARK), 1.0)
