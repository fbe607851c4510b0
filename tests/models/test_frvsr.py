"""The recurrent network, by a loop of its own, and what it shares with TensorFlow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from sr_jax.errors import InputError
from sr_jax.layers.motion import enlarge_motion, warp
from sr_jax.layers.random_draws import draw_in_loops
from sr_jax.layers.resampling import pixel_unshuffle
from sr_jax.models.frvsr import FRVSR, DoublingConvolution, Generator
from sr_jax.tasks.shared.clips import enlarge_clip, ping_pong

TINY = FRVSR(scale=2, features=3, num_blocks=1, motion_features=2)


def frames(*shape):
    return np.random.default_rng(0).random((*shape, 3)).astype(np.float32)


@pytest.fixture(scope='module')
def variables():
    return jax.jit(draw_in_loops(TINY.init))(jax.random.key(0), jnp.zeros((1, 8, 9, 3)))


def test_a_clip_is_a_loop_that_feeds_the_moved_image_back(variables):
    clip = frames(2, 3, 11, 13)
    images, motions = jax.jit(lambda clip: enlarge_clip(TINY, variables, clip))(clip)

    @jax.jit
    def estimate(before, frame):
        return TINY.bind(variables).motion(before, frame)

    @jax.jit
    def enlarge(frame, image):
        beside = pixel_unshuffle(image, 2)
        return TINY.bind(variables).generator(jnp.concatenate([frame, beside], axis=-1))

    @jax.jit
    def move(image, motion):
        return warp(image, enlarge_motion(motion, 2))

    image = np.zeros((2, 22, 26, 3), np.float32)
    for i in range(3):
        if i:
            motion = estimate(clip[:, i - 1], clip[:, i])
            np.testing.assert_allclose(motions[:, i], motion, atol=1e-5)
            image = move(image, motion)
        image = enlarge(clip[:, i], image)
        np.testing.assert_allclose(images[:, i], image, atol=1e-5)
    np.testing.assert_allclose(jax.jit(TINY.apply)(variables, clip[:, 0]), images[:, 0], atol=1e-5)


def test_ping_pong_shows_the_last_frame_once():
    clip = np.arange(4.0).reshape(1, 4, 1, 1, 1)
    np.testing.assert_array_equal(np.ravel(ping_pong(clip)), [0, 1, 2, 3, 2, 1, 0])


def test_doubling_is_tensorflows_transposed_convolution():
    x = np.random.default_rng(1).random((1, 4, 5, 3)).astype(np.float32)
    model = DoublingConvolution(2)
    variables = jax.jit(draw_in_loops(model.init))(jax.random.key(0), x)
    kernel = np.asarray(variables['params']['kernel'])
    expected = np.zeros((10, 12, 2))
    for y, column in np.ndindex(4, 5):
        added = np.einsum('klio,i->klo', kernel, x[0, y, column])
        expected[2 * y : 2 * y + 3, 2 * column : 2 * column + 3] += added
    found = jax.jit(model.apply)(variables, x)
    np.testing.assert_allclose(found[0], expected[:8, :10], atol=1e-5)


def test_in_the_middle_of_the_range_the_first_kernels_do_not_move_what_is_seen_of_grey():
    grey = jnp.full((1, 5, 6, 15), 0.5)
    change = {}
    for center in (0.5, 0.0):
        model = Generator(2, 4, 1, center)
        params = jax.jit(model.init)(jax.random.key(0), grey)['params']
        first = {**params['conv_first'], 'kernel': params['conv_first']['kernel'] + 0.1}
        apply = jax.jit(model.apply)
        made = [apply({'params': p}, grey) for p in (params, {**params, 'conv_first': first})]
        change[center] = float(jnp.abs(made[0] - made[1]).max())
    assert change[0.5] == 0 < 0.1 < change[0.0]


def test_without_learning_a_frame_is_enlarged_by_the_cubic_kernel_from_its_corner():
    frame = frames(1, 6, 7)
    zeros = jax.tree.map(
        jnp.zeros_like, Generator(4, 2, 1).init(jax.random.key(0), frame)['params']
    )
    found = Generator(4, 2, 1).apply({'params': zeros}, frame)
    np.testing.assert_allclose(
        found[0], cubic(cubic(frame[0], 4).swapaxes(0, 1), 4).swapaxes(0, 1), atol=1e-5
    )


def cubic(x, factor):
    """Rows enlarged by Keys' kernel of a = -0.75, as sums over four rows at a distance."""
    a = -0.75
    padded = np.concatenate([x[:1], x, x[-1:], x[-1:]])
    near = sliding_window_view(padded, 4, axis=0)  # [h, w, c, 4]

    def kernel(d):
        d = abs(d)
        if d < 1:
            return (a + 2) * d**3 - (a + 3) * d**2 + 1
        return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a

    rows = [
        near @ np.array([kernel(phase / factor - i) for i in (-1, 0, 1, 2)])
        for phase in range(factor)
    ]
    return np.stack(rows, axis=1).reshape(-1, *x.shape[1:])


def test_the_generator_looks_as_far_as_its_halo_and_no_further():
    model, x = Generator(2, 3, 2), frames(1, 31, 31)
    variables = jax.jit(draw_in_loops(model.init))(jax.random.key(0), x)
    apply = jax.jit(model.apply)
    other = x.copy()  # what JAX was given it may still be reading
    other[0, 15, 15] += 1
    changed = (apply(variables, other) != apply(variables, x)).any((0, 2, 3))
    changed = np.flatnonzero(changed) // 2
    assert changed.min() >= 15 - model.halo and changed.max() <= 15 + model.halo
    assert changed.max() - changed.min() >= 2 * model.halo - 2


@pytest.mark.parametrize('body', ['residual', 'rrdb', 'compact'])
def test_every_body_goes_through_the_loop(body):
    net = FRVSR(body, 4, features=3, num_blocks=2, growth=2, motion_features=2)
    clip = jax.ShapeDtypeStruct((2, 3, 10, 12, 3), jnp.float32)
    variables = jax.eval_shape(net.init, jax.random.key(0), clip_frame(clip))
    images, motions = jax.eval_shape(lambda v, c: enlarge_clip(net, v, c), variables, clip)
    assert images.shape == (2, 3, 40, 48, 3) and motions.shape == (2, 3, 10, 12, 2)
    assert net.halo == {'residual': 6, 'rrdb': 34, 'compact': 4}[body]


def clip_frame(clip):
    return jax.ShapeDtypeStruct(clip.shape[:1] + clip.shape[2:], clip.dtype)


@pytest.mark.parametrize(
    ('fields', 'message'),
    [({'body': 'rdb'}, "no body 'rdb', but residual, rrdb"), ({'scale': 3}, 'by 2, 4 or 8, not')],
)
def test_what_there_is_not(fields, message):
    with pytest.raises(InputError, match=message):
        jax.eval_shape(FRVSR(**fields).init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
