
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sr_jax.kernels.switched_conv import route
from sr_jax.kernels.switched_conv.xla.canvases import Cover

# Images, height, width, taps, stride, pixels of a segment: whole images, and bands of them.
CASES = [(3, 4, 6, 5, 1, 48), (2, 7, 5, 3, 1, 12), (1, 9, 8, 5, 2, 6), (2, 7, 8, 1, 3, 4)]
CHANNELS = 10


@pytest.mark.parametrize(('images', 'height', 'width', 'size', 'stride', 'segment'), CASES)
def test_canvases_are_stretches_of_the_padded_images(images, height, width, size, stride, segment):
    x = np.random.default_rng(0).normal(size=(images, height, width, CHANNELS)).astype(np.float32)
    selector = jnp.zeros((images, -(-height // stride), -(-width // stride)), jnp.int32)
    routing = route(selector, 1, groups=1, segment=segment)
    cover = Cover(routing, x.shape, size, stride)
    rows, half = routing.band_rows, size // 2
    room = rows * stride * routing.bands + size
    padded = np.pad(x, ((0, 0), (half, room), (half, room), (0, 0)))
    tall, wide = (rows - 1) * stride + size, (routing.shape[2] - 1) * stride + size
    cut = jax.jit(lambda x: [list(cover.cut(x, index)) for index in cover.segments()])
    seen = 0
    for canvases in cut(x):
        for canvas in canvases:
            image, band = divmod(seen, routing.bands)
            seen += 1
            if image == images:  # filling
                np.testing.assert_array_equal(canvas, jnp.zeros_like(canvas))
                continue
            top = band * rows * stride
            np.testing.assert_array_equal(canvas, padded[image, top : top + tall, :wide])
    assert seen >= images * routing.bands


@pytest.mark.parametrize(('images', 'height', 'width', 'size', 'stride', 'segment'), CASES)
def test_adding_is_the_transpose_of_cutting_out(images, height, width, size, stride, segment):
    shape = (images, height, width, CHANNELS)
    selector = jnp.zeros((images, -(-height // stride), -(-width // stride)), jnp.int32)
    cover = Cover(route(selector, 1, groups=1, segment=segment), shape, size, stride)
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)

    @jax.jit
    def both(index, x, given):
        transpose = jax.vjp(lambda x: cover.cut(x, index), x)[1]
        return cover.add(jnp.zeros_like(x), given, index), transpose(given)[0]

    for index in cover.segments():
        shape = jax.eval_shape(lambda x, index=index: cover.cut(x, index), x).shape
        given = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        np.testing.assert_allclose(*both(index, x, given), atol=1e-6)
