import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_jax.degradations import resizing
from sr_jax.degradations.resizing import AREA, BICUBIC, BILINEAR, interpolation_matrix

LINE = np.array([0.1, 0.9, 0.3, 0.5, 1.0, 0.2, 0.7])
# torch.nn.functional.interpolate of PyTorch 2.13 (CPU), size=(n, 1), of LINE as one column. By hand
# the whole matrices were compared with it for 72 pairs of sizes up to 90: they differ by 7e-7.
PYTORCH = {
    (3, AREA): [0.433333, 0.6, 0.633333],
    (3, BILINEAR): [0.633333, 0.5, 0.366666],
    (3, BICUBIC): [0.714815, 0.5, 0.268518],
    (5, AREA): [0.5, 0.6, 0.6, 0.6, 0.45],
    (5, BILINEAR): [0.26, 0.54, 0.5, 0.68, 0.6],
    (5, BICUBIC): [0.2552, 0.5688, 0.5, 0.7076, 0.5928],
    (10, AREA): [0.1, 0.5, 0.6, 0.3, 0.4, 0.75, 1.0, 0.6, 0.45, 0.7],
    (10, BILINEAR): [0.1, 0.54, 0.75, 0.33, 0.43, 0.675, 0.96, 0.4, 0.425, 0.7],
    (10, BICUBIC): [
        *(0.034975, 0.606206, 0.841406, 0.318244, 0.342128),
        *(0.736425, 0.984581, 0.346094, 0.340231, 0.740641),
    ],
}
resize = jax.jit(resizing.resize, static_argnums=4)
MATRIX = jax.jit(lambda old, new, mode: interpolation_matrix(old, new, mode, (24, 17)))


@pytest.mark.parametrize(('new', 'mode'), PYTORCH)
def test_it_agrees_with_pytorch(new, mode):
    resized = np.asarray(MATRIX(7, new, mode))[:new, :7] @ LINE
    np.testing.assert_allclose(resized, PYTORCH[new, mode], atol=2e-6)


@settings(max_examples=100)
@given(old=st.integers(1, 17), new=st.integers(1, 24), mode=st.sampled_from([0, 1, 2]))
def test_a_matrix_holds_weights_of_the_image_alone(old, new, mode):
    matrix = np.asarray(MATRIX(old, new, mode))
    np.testing.assert_allclose(matrix[:new].sum(1), 1, atol=1e-5)
    assert not matrix[new:].any()
    assert not matrix[:, old:].any()
    # From the left as from the right: nothing is shifted.
    np.testing.assert_allclose(matrix[:new, :old], matrix[:new, :old][::-1, ::-1], atol=1e-5)


@pytest.mark.parametrize('mode', [AREA, BILINEAR, BICUBIC])
def test_a_kept_size_keeps_the_image(mode, on_canvas):
    pixels = np.random.default_rng(1).random((5, 7, 3)).astype(np.float32)
    kept = resize(on_canvas(pixels, 9, 8), jnp.int32(5), jnp.int32(7), jnp.int32(mode), (6, 11))
    assert kept.pixels.shape == (6, 11, 3)
    np.testing.assert_allclose(kept.pixels[:5, :7], pixels, atol=1e-6)


def test_both_sides_have_their_own_size(on_canvas):
    pixels = np.random.default_rng(1).random((6, 7, 3)).astype(np.float32)
    small = resize(on_canvas(pixels, 9, 8), jnp.int32(3), jnp.int32(7), jnp.int32(AREA), (4, 9))
    expected = pixels.reshape(3, 2, 7, 3).mean(1)
    np.testing.assert_allclose(small.pixels[:3, :7], expected, atol=1e-6)
    assert (small.height, small.width) == (3, 7)
