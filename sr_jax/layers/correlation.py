"""A cross-correlation and its gradients, in forms and layouts that XLA for CPUs is fast in.

Nothing here has a derivative of its own that is as fast: `sr_jax.layers.convolution` says what that
is. Images are NHWC, kernels [height, width, in, out].
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from sr_jax.kernels.mesh_axes import explicit_axes  # type: ignore[import-not-found]

LAYOUT = ('NHWC', 'HWIO', 'NHWC')
# Numbers of x or of the cotangent, whichever are more, by which a kernel's gradient is split:
WHOLE = 3 * 2**20  # at most so many of all images are taken at once
PART = 2**20  # at most so many in a part of small images
LARGE = 2**17  # of at least so many an image is a part
NARROW = 16  # channels of the cotangent: with as many single images are slow, with fewer any parts
EXCHANGED = 48  # most channels of the cotangent, in float32, to be convolved with more of x
PHASED = 16  # fewest channels made by phases: of three, pixels take long to be put together


def correlate(x: Array, kernel: Array, stride: int, padded: bool) -> Array:
    """The cross-correlation, with (taps - 1) // 2 zeros around x if it is to be `padded`."""
    padding = [((taps - 1) // 2 if padded else 0,) * 2 for taps in kernel.shape[:2]]
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=LAYOUT)


def correlate_to_learn(x: Array, kernel: Array, stride: int, padded: bool) -> Array:
    """The same, beside `gradients`: that of one tap is a product, as its gradients are.

    CPUs take 5 to 30% less for it, and the gradients have x as it lies already. Programs for other
    tools are of what is computed without gradients: they expect a convolution.
    """
    if kernel.shape[:2] == (1, 1):
        return x[:, ::stride, ::stride] @ kernel[0, 0]
    return correlate(x, kernel, stride, padded)


# Traced once for all layers of the same shapes.
@functools.partial(jax.jit, static_argnums=(3, 4))
def gradients(
    x: Array, kernel: Array, cotangent: Array, stride: int, padded: bool
) -> tuple[Array, Array]:
    """The gradients of x and of the kernel, of what `correlate` returns."""

    def as_jax(x: Array, kernel: Array, cotangent: Array) -> tuple[Array, Array]:
        apply = functools.partial(correlate, stride=stride, padded=padded)
        return jax.vjp(apply, x, kernel)[1](cotangent)

    def in_layout(x: Array, kernel: Array, cotangent: Array) -> tuple[Array, Array]:
        taps = kernel.shape[:2]
        before = [(k - 1) // 2 if padded else 0 for k in taps]
        # Beyond the last window that was taken, there may be pixels that no window reaches.
        sizes = zip(cotangent.shape[1:3], x.shape[1:3], taps, before, strict=True)
        after = [(n - 1) * stride + k - size - low for n, size, k, low in sizes]
        if taps == (1, 1):
            gradient_x = _spread(cotangent, kernel, stride, before, after)
            return gradient_x, _of_single_pixels(x[:, ::stride, ::stride], cotangent)
        if _is_short(cotangent) and kernel.dtype == jnp.float32:
            gradient_x = _spread(cotangent, kernel, stride, before, after)
        elif _has_phases(kernel, stride):
            gradient_x = _by_phases(cotangent, kernel, stride, before, after)
        else:
            gradient_x = _dilate(cotangent, kernel, stride, before, after)
        return gradient_x, _of_kernel(x, cotangent, stride, before, after)

    if explicit_axes((x, kernel, cotangent)):
        return as_jax(x, kernel, cotangent)  # JAX knows where each gradient is to lie
    return lax.platform_dependent(x, kernel, cotangent, cpu=in_layout, default=as_jax)


def turn_kernel(kernel: Float[Array, 'k l i o']) -> Float[Array, 'k l o i']:
    """Turns a kernel by 180 degrees and exchanges its channels: that of the transposed map."""
    return kernel[::-1, ::-1].swapaxes(2, 3)


def transposed(
    cotangent: Float[Array, 'n h w o'],
    kernel: Float[Array, 'k l c o'],
    stride: int,
    before: list[int],
    after: list[int],
) -> Float[Array, 'n h2 w2 c']:
    """The gradient of x, of what `correlate` returns: a transposed convolution.

    Args:
      cotangent: of what is returned.
      kernel: of taps.
      stride: of its steps.
      before: zeros there were before x, down and across.
      after: those after it that windows reached; negative for pixels that none reached.
    """

    def in_layout(cotangent: Array, kernel: Array) -> Array:
        if not _has_phases(kernel, stride) or _is_short(cotangent):
            return _dilate(cotangent, kernel, stride, before, after)
        return _by_phases(cotangent, kernel, stride, before, after)

    def dilate(cotangent: Array, kernel: Array) -> Array:
        return _dilate(cotangent, kernel, stride, before, after)

    if explicit_axes((cotangent, kernel)):
        return dilate(cotangent, kernel)  # JAX knows where its pixels are to lie
    return lax.platform_dependent(cotangent, kernel, cpu=in_layout, default=dilate)


def _is_short(cotangent: Array) -> bool:
    """Whether there are so few pixels that turning the kernel takes longer than using it."""
    return math.prod(cotangent.shape[:3]) <= 2 * cotangent.shape[3]


def _has_phases(kernel: Array, stride: int) -> bool:
    """Whether CPUs compute a transposed convolution soonest by `_by_phases`."""
    return 1 < stride < min(kernel.shape[:2]) and kernel.shape[2] >= PHASED


def _dilate(
    cotangent: Array, kernel: Array, stride: int, before: list[int], after: list[int]
) -> Array:
    """The gradient of x as a convolution of the cotangent, zeros put between its pixels."""
    sides = zip(kernel.shape[:2], before, after, strict=True)
    return lax.conv_general_dilated(
        cotangent,
        turn_kernel(kernel),
        (1, 1),
        [(k - 1 - low, k - 1 - high) for k, low, high in sides],
        lhs_dilation=(stride, stride),
        dimension_numbers=LAYOUT,
    )


def _by_phases(
    cotangent: Array, kernel: Array, stride: int, before: list[int], after: list[int]
) -> Array:
    """The same without zeros: every so many-th pixel of x is a convolution by some of the taps.

    Pixel `stride * i + phase` is made of the taps `t` for which `phase + before - t` is a multiple
    of the stride: Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?"
    (arXiv:1609.07009). On CPUs it takes a quarter to 0.9 of the time for large images, and in
    bfloat16 oneDNN computes it, which it does not with zeros between pixels: 2 to 16 times as
    quick.
    """
    taps, counts = kernel.shape[:2], cotangent.shape[1:3]
    sides = zip(counts, taps, before, after, strict=True)
    sizes = [(n - 1) * stride + k - low - high for n, k, low, high in sides]
    made = [-(-size // stride) for size in sizes]  # pixels of a phase, some beyond the last one

    def make(phases: tuple[int, int]) -> Array:
        firsts = [(phase + low) % stride for phase, low in zip(phases, before, strict=True)]
        some = kernel[firsts[0] :: stride, firsts[1] :: stride]
        padding = []
        for side, (phase, first) in enumerate(zip(phases, firsts, strict=True)):
            low = some.shape[side] - 1 - (phase + before[side] - first) // stride
            padding.append((low, made[side] + some.shape[side] - 1 - low - counts[side]))
        return lax.conv_general_dilated(
            cotangent, turn_kernel(some), (1, 1), padding, dimension_numbers=LAYOUT
        )

    rows = [
        jnp.stack([make((down, across)) for across in range(stride)], 3) for down in range(stride)
    ]
    whole = jnp.stack(rows, 2)
    pixels = whole.reshape(len(whole), *(stride * n for n in made), kernel.shape[2])
    return pixels[:, : sizes[0], : sizes[1]]


def _spread(
    cotangent: Array, kernel: Array, stride: int, before: list[int], after: list[int]
) -> Array:
    """The gradient of x as one product, each tap's part of which is added where it belongs.

    A convolution needs the kernel turned instead, which takes longer than itself where there are
    fewer pixels than channels: 4 x 4 pixels with 512 channels took 8 ms, and take 3. Of a stride it
    needs zeros between the pixels besides.
    """
    height, width = kernel.shape[:2]
    products = cotangent @ kernel.reshape(-1, kernel.shape[3]).T
    parts = jnp.split(products, height * width, axis=-1)
    zero = jnp.zeros((), products.dtype)

    def put(part: Array, taps: tuple[int, int]) -> Array:
        """Negative padding crops what falls on the zeros around x."""
        sides = zip(taps, (height, width), before, after, strict=True)
        edges = [(tap - low, size - 1 - tap - high, stride - 1) for tap, size, low, high in sides]
        return lax.pad(part, zero, [(0, 0, 0), *edges, (0, 0, 0)])

    placed = map(put, parts, itertools.product(range(height), range(width)))
    return functools.reduce(jnp.add, placed)


def _of_kernel(
    x: Array, cotangent: Array, stride: int, before: list[int], after: list[int]
) -> Array:
    """The gradient of a kernel: x convolved with the cotangent, images as channels.

    Of few channels made of more, as a network's last ones are, the cotangent is convolved with x
    instead, since CPUs lay out all windows of what is convolved: 64 channels to 3 take a sixth of
    the time, with 9 x 9 taps a nineteenth.

    Many pixels in parts, one after the other: in the cache they take a third to a half of the time
    on CPUs. Every so many-th image makes a part, so that those of a device stay there.
    """
    is_exchanged = _is_exchanged(x, cotangent, stride)
    padding = list(zip(before, after, strict=True))
    if is_exchanged:
        sizes = zip(x.shape[1:3], cotangent.shape[1:3], padding, strict=True)
        reach = [size + low + high - n for size, n, (low, high) in sizes]  # taps but one
        padding = [(k - low, k - high) for k, (low, high) in zip(reach, padding, strict=True)]

    def of_part(x: Array, cotangent: Array) -> Array:
        taken, taps = (cotangent, x) if is_exchanged else (x, cotangent)
        gradient = lax.conv_general_dilated(
            taken.transpose(3, 1, 2, 0),
            taps.transpose(1, 2, 0, 3),
            (1, 1),
            padding,
            rhs_dilation=(stride, stride),
            dimension_numbers=LAYOUT,
        )
        if is_exchanged:
            return gradient[:, ::-1, ::-1].transpose(1, 2, 3, 0)
        return gradient.transpose(1, 2, 0, 3)

    parts = _count_parts(x, cotangent, stride)
    if parts == 1:
        return of_part(x, cotangent)
    split = [y.reshape(-1, parts, *y.shape[1:]) for y in (x, cotangent)]

    def add(i: Array, total: Array) -> Array:
        return total + of_part(*(lax.dynamic_index_in_dim(y, i, 1, False) for y in split))

    return lax.fori_loop(1, parts, add, of_part(*(y[:, 0] for y in split)))


def _is_exchanged(x: Array, cotangent: Array, stride: int) -> bool:
    """Whether CPUs convolve the cotangent with x sooner than x with the cotangent."""
    most = EXCHANGED if x.dtype == jnp.float32 else EXCHANGED // 2
    return stride == 1 and cotangent.shape[3] <= min(most, x.shape[3] - 1)


def _count_parts(x: Array, cotangent: Array, stride: int) -> int:
    """In how many parts of the images CPUs compute the gradient of a kernel soonest.

    All have equally many images of every device, over which the batch may be split. A large image
    alone is best, as two are put side by side first; but not if it makes few channels.
    """
    images, devices = len(x), jax.device_count()
    numbers, features = max(x.size, cotangent.size), cotangent.shape[3]
    is_exchanged = _is_exchanged(x, cotangent, stride)
    if x.dtype != jnp.float32 or numbers <= WHOLE or (features < NARROW and not is_exchanged):
        return 1  # in bfloat16, by oneDNN, parts gain in some and lose in others
    sizes = [parts for parts in range(1, images + 1) if images % (parts * devices) == 0] or [1]
    if numbers >= LARGE * images and (features > NARROW or is_exchanged):
        return sizes[-1]
    return next((parts for parts in sizes if numbers <= parts * PART), sizes[-1])


def _of_single_pixels(x: Array, cotangent: Array) -> Array:
    """Returns the gradient of a kernel of one tap, as a product: 2 to 3 times as quick on CPUs."""
    pixels, cotangents = (y.reshape(-1, y.shape[-1]) for y in (x, cotangent))
    return (cotangents.T @ pixels).T[None, None]
