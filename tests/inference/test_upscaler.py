"""Images in parts are the whole image's result, whatever the parts, devices and memory."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_networks import network, repeating, whole

import sr_jax
from sr_jax import models
from sr_jax.devices import compiling
from sr_jax.errors import InputError
from sr_jax.images.decoding import to_float
from sr_jax.images.files import save_image
from sr_jax.images.resize import imresize, resize_lanczos
from sr_jax.inference import programs, windows
from sr_jax.inference import upscaler as upscaler_module
from sr_jax.inference.latents import noise
from sr_jax.inference.layers import scale_size
from sr_jax.inference.networks import LoadedNetwork
from sr_jax.inference.upscaler import Upscaler
from sr_jax.layers import winograd

DIVISIBLE = ('rrdb', 'rrdb_x2', 'srresnet', 'srvgg', 'srflow')


def image(height, width, dtype=np.float32):
    pixels = np.random.default_rng(height * width).random((height, width, 3), np.float32)
    return pixels if dtype == np.float32 else (pixels * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize(
    ('key', 'devices'),
    [
        # The whole of a flow compiles for long.
        pytest.param(key, devices, marks=[pytest.mark.slow] * (key == 'srflow'))
        for devices in (1, 8)
        for key in DIVISIBLE
    ],
)
def test_parts_are_the_whole_and_one_compilation_serves_all_sizes(key, devices, monkeypatch):
    monkeypatch.setattr(upscaler_module, 'PATCH', 16)
    net = network(key)
    halo = net.module().halo
    tile = 2 * halo + 12
    upscaler = Upscaler(net, tile=tile, halo=halo, devices=jax.devices()[:devices])
    compilations = []
    sizes = [(tile + 30, tile + 18), (8, 24), (tile, 2)]
    for size in sizes:
        pixels = image(*size)
        np.testing.assert_allclose(upscaler(pixels), whole(net, pixels), atol=1e-5)
        compilations.append(upscaler._compile.cache_info().misses)
    assert len(set(compilations)) == 1


def test_equal_blocks_are_a_loop_until_there_are_many_pixels(monkeypatch):
    monkeypatch.setattr(programs, 'MANY_PIXELS', 200)
    net, lines, pixels = network('rrdb'), [], image(9, 12)
    upscaler = Upscaler(net, devices=jax.devices()[:1], report=lines.append)
    for count in (1, 2):
        upscaler.prepare([(9, 12)] * count)
        np.testing.assert_allclose(upscaler(pixels), whole(net, pixels), atol=1e-5)
    assert [line.rpartition(', ')[2] for line in lines] == [
        'equal blocks as a loop',
        'blocks written out',
    ]


def test_parts_with_fewer_products_are_the_whole(monkeypatch):
    net, lines = network('rrdb'), []
    monkeypatch.setattr(upscaler_module, 'PATCH', 16)
    monkeypatch.setitem(winograd.WORTH, 'float32', winograd.Worth(3, 3, 1))
    tile = 2 * net.module().halo + 12
    options = {'tile': tile, 'halo': net.module().halo, 'devices': jax.devices()[:2]}
    upscaler = Upscaler(net, products='few', report=lines.append, **options)
    pixels = image(tile + 30, tile + 18)
    np.testing.assert_allclose(upscaler(pixels), whole(net, pixels), atol=1e-5)
    assert lines[0].endswith('equal blocks as a loop, few products')


@pytest.mark.parametrize('onednn', [True, False])
def test_in_bfloat16_products_are_few_with_onednn_alone(onednn, monkeypatch):
    monkeypatch.setattr(compiling, 'has_onednn', lambda options: onednn)
    lines, options = [], {'dtype': 'bfloat16', 'products': 'few'}
    Upscaler(network('rrdb'), report=lines.append, **options).prepare([(9, 13)])
    assert lines[0].endswith('few products') == onednn


@pytest.fixture(scope='module')
def flow():
    return network('srflow')


@pytest.mark.slow
def test_a_flow_draws_the_same_images_in_parts_and_whole(flow):
    module, pixels = flow.module(), image(2 * flow.module().halo + 40, 23)
    parts = Upscaler(
        flow, halo=module.halo, tile=2 * module.halo + 12, temperature=0.7, seed=3
    )
    drawn = parts(pixels, sample=1)
    padded = np.pad(pixels, ((0, 0), (0, 1), (0, 0)), mode='edge')
    latents = tuple(
        0.7 * noise((3, 1, i), (0, 0), shape)[None]
        for i, shape in enumerate(module.latent_shapes(*padded.shape[:2]))
    )
    sample = jax.jit(functools.partial(module.apply, method='sample'))
    whole = np.asarray(sample(flow.variables, padded[None], latents)[0])
    # Through the inverses of so many steps, rounding grows.
    np.testing.assert_allclose(drawn, np.clip(whole, 0, 1)[:, : 4 * 23], atol=2e-4)
    other = parts(pixels, sample=2)
    assert np.abs(other - drawn).mean() > 0.01  # and so finite
    split = Upscaler(flow, spatially=True, temperature=0.7, seed=3)
    np.testing.assert_allclose(split(pixels, sample=1), drawn, atol=2e-4)


@pytest.mark.parametrize(
    ('key', 'options', 'message'),
    [
        ('srvgg', {'temperature': 0.5}, r'one image only, .* a flow \(srflow\)'),
        ('srflow', {'temperature': -0.1}, 'temperature -0.1: it must not be negative'),
        ('srflow', {'temperature': 0.5, 'seed': -1}, 'seed -1: it must not be negative'),
    ],
)
def test_heats_that_cannot_be_meant(key, options, message):
    with pytest.raises(InputError, match=message):
        Upscaler(network(key), **options)


@pytest.mark.parametrize('key', ['rrdb_x2', 'srresnet'])
def test_an_image_split_over_devices_by_rows_is_the_whole(key):
    net = network(key)
    upscaler = Upscaler(net, spatially=True)
    for size in ((44, 24), (26, 10)):
        pixels = image(*size)
        np.testing.assert_allclose(upscaler(pixels), whole(net, pixels), atol=1e-5)


def test_a_network_that_looks_at_everything_is_given_everything():
    net = network('switched_sr')
    upscaler = Upscaler(net)
    upscaler.prepare([(3000, 4), (4, 3000)])  # compiles nothing: they cannot share a window
    assert upscaler._compile.cache_info().misses == 0
    for size in ((20, 24), (9, 12)):
        pixels = image(*size)
        np.testing.assert_allclose(upscaler(pixels), whole(net, pixels), atol=1e-5)
    with pytest.raises(InputError, match='neither a tile nor a halo to set; with a tile'):
        Upscaler(net, halo=4)
    with pytest.raises(InputError, match='do not divide over 8 devices'):
        Upscaler(net, spatially=True)(image(20, 24))


def test_with_a_tile_it_is_given_parts_and_what_that_costs_is_said():
    lines, pixels = [], image(20, 24)
    parts = Upscaler(network('switched_sr'), tile=16, report=lines.append)(pixels)
    assert parts.shape == (40, 48, 3)
    assert 'pixels, halo 4, ' in lines[0]
    assert 'looks at whole images, so the parts are not exactly' in lines[0]


def test_parts_of_whole_squares_are_the_whole_which_is_mirrored_at_its_edge():
    net = network('swinir')
    halo, pixels = net.module().halo, image(58, 45)
    upscaler = Upscaler(net, tile=2 * halo + 14, halo=halo, devices=jax.devices()[:1])
    np.testing.assert_allclose(upscaler(pixels), whole(net, pixels), atol=1e-5)
    height, width = upscaler._windows.chosen
    assert height < 58 > 48 > width and height % 4 == width % 4 == 0


def test_sides_that_the_network_cannot_halve_are_padded_and_cut_back():
    net = network('rrdb_x2')
    pixels = image(13, 11)
    enlarged = Upscaler(net, devices=jax.devices()[:1])(pixels)
    padded = np.pad(pixels, ((0, 1), (0, 1), (0, 0)), mode='edge')
    np.testing.assert_allclose(enlarged, whole(net, padded)[:26, :22], atol=1e-5)


@pytest.fixture(scope='module')
def small():
    upscaler = Upscaler(network('srvgg'), tile=16, devices=jax.devices()[:1])
    upscaler.prepare([(64, 60)])
    return upscaler


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(1, 40))
def test_any_size(small, height, width):
    pixels = image(height, width)
    enlarged = small(pixels)
    assert enlarged.shape == (2 * height, 2 * width, 3)
    # The image, repeated, is most of what this network returns: no part lies at a wrong place.
    again = small(np.pad(pixels, ((0, 24), (0, 24), (0, 0)), mode='edge'))
    halo = 3
    inner = (slice(0, max(2 * height - 2 * halo, 0)), slice(0, max(2 * width - 2 * halo, 0)))
    np.testing.assert_allclose(enlarged[inner], again[inner], atol=1e-5)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_integers_stay_integers(small, dtype):
    pixels = image(9, 20, dtype)
    most = np.iinfo(dtype).max
    exact = whole(network('srvgg'), pixels.astype(np.float32) / most) * most
    enlarged = small(pixels)
    assert enlarged.dtype == dtype
    assert np.abs(enlarged - exact).max() < 0.51 + 1e-5 * most


def test_a_larger_image_than_the_last_gets_a_window_of_its_own():
    net = network('srresnet')
    upscaler = Upscaler(net, tile=20, halo=net.module().halo, devices=jax.devices()[:1])
    for size in ((1, 1), (40, 3), (3, 40)):
        np.testing.assert_allclose(upscaler(image(*size)), whole(net, image(*size)), atol=1e-5)


def test_progress_counts_the_windows(small):
    seen = []
    small(image(40, 44), lambda done, count: seen.append((done, count)))
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert {count for _, count in seen} == {len(seen)}


def test_the_window_follows_the_memory():
    net = network('srvgg')
    lines = []
    one = jax.devices()[:1]
    needed = Upscaler(net, devices=one, report=lines.append)
    needed.prepare([(200, 190)])
    assert '190x200' in lines[-1]
    full = upscaler_module.memory.compiled_bytes(needed._compile((200, 190)))
    tight = Upscaler(net, devices=one, memory_limit=full // 3, report=lines.append)
    tight.prepare([(200, 190)])
    assert upscaler_module.memory.compiled_bytes(tight._compile(tight._windows.chosen)) <= full // 3
    assert tight._windows.chosen[0] * tight._windows.chosen[1] > 200 * 190 / 5
    np.testing.assert_allclose(tight(image(200, 190)), needed(image(200, 190)), atol=1e-5)
    with pytest.raises(InputError, match='a window of 7x7 .* smallest .* halo of 3') as caught:
        Upscaler(net, devices=one, memory_limit=2_000).prepare([(200, 190)])
    smallest = upscaler_module.memory.compiled_bytes(needed._compile((7, 7)))
    assert f'takes {smallest / 2**20:.4g} MiB of memory, and 0.001907 MiB may' in str(caught.value)
    just = Upscaler(net, devices=one, memory_limit=smallest)
    just.prepare([(200, 190)])  # what it is said to need is enough
    assert just._windows.chosen == (7, 7)


def test_a_halo_follows_the_tile():
    net, lines, pixels = network('rrdb_x2'), [], image(30, 44)
    exact = net.module().halo
    upscaler = Upscaler(net, tile=25, devices=jax.devices()[:1], report=lines.append)
    off = np.abs(upscaler(pixels) - whole(net, pixels)).max()
    assert 1e-5 < off < 0.2
    assert max(upscaler._windows.chosen) <= 25
    assert f'halo 6, 1 at a time. The network looks {exact} pixels far' in lines[-1]
    assert f'--halo {exact} is exact, in tiles from {2 * exact + 2} on' in lines[-1]


def test_a_window_grows_beyond_the_first_guess(monkeypatch):
    monkeypatch.setattr(windows, 'FIRST_PIXELS', 400)
    upscaler = Upscaler(network('srvgg'), devices=jax.devices()[:1])
    upscaler.prepare([(60, 50)])
    assert upscaler._windows.chosen == (60, 50)


def test_running_out_of_memory_halves_the_window_and_starts_the_image_again(monkeypatch):
    net, lines = network('srvgg'), []
    upscaler = Upscaler(net, devices=jax.devices()[:1], report=lines.append)
    enlarge = Upscaler._enlarge
    failures = iter([True, True, False])

    def fails_twice(self, *arguments):
        if next(failures):
            raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: out of memory')
        return enlarge(self, *arguments)

    monkeypatch.setattr(Upscaler, '_enlarge', fails_twice)
    pixels = image(40, 44)
    np.testing.assert_allclose(upscaler(pixels), whole(net, pixels), atol=1e-5)
    assert sum('ran out of memory' in line for line in lines) == 2
    assert upscaler._windows.chosen[0] * upscaler._windows.chosen[1] <= 400


def test_other_errors_of_the_device_are_not_hidden(monkeypatch):
    def fail(self, *arguments):
        raise jax.errors.JaxRuntimeError('INTERNAL: something else')

    monkeypatch.setattr(Upscaler, '_enlarge', fail)
    with pytest.raises(jax.errors.JaxRuntimeError, match='something else'):
        Upscaler(network('srvgg'))(image(8, 12))


def test_a_smaller_halo_is_allowed_and_is_not_exact():
    net = network('srresnet')
    pixels = image(40, 12)
    rough = Upscaler(net, halo=0, tile=20, devices=jax.devices()[:1])(pixels)
    exact = whole(net, pixels)
    assert rough.shape == exact.shape
    assert np.abs(rough - exact).max() > 1e-3


@pytest.mark.parametrize('dtype', [np.float32, np.uint8])
def test_a_consistent_result_shrinks_to_the_image(dtype):
    pixels = 0.2 + 0.6 * resize_lanczos(image(5, 6), (20, 24))  # smooth: others shrink to it
    pixels = pixels if dtype == np.float32 else np.rint(255 * pixels).astype(np.uint8)
    options = dict(devices=jax.devices()[:1])
    net = network('srvgg')
    plain, found = (Upscaler(net, **options, consistent=c)(pixels) for c in (False, True))
    assert found.dtype == dtype and found.shape == plain.shape

    def missed(result):
        return np.abs(imresize(to_float(result), 1 / 2) - to_float(pixels)).max()

    assert missed(found) < (0.002 if dtype == np.float32 else 0.006) < missed(plain)


def test_a_network_of_another_kind_is_named():
    others = 'atd, .*rrdb, span, srflow, srformer, srresnet, srvgg, swinir, switched_sr'
    with pytest.raises(InputError, match=f"vqvae.*'vqvae', which does not enlarge.* of {others}"):
        Upscaler(network('vqvae'))


FIXED = """
import flax.linen as nn
from sr_jax.layers.convolution import Convolution
from sr_jax.layers.resampling import upsample_bilinear
from sr_jax.models.protocols import image_batch


class Model(nn.Module):
    REPEATED = ()
    scale: int = 3
    multiple = 5
    input_size = 10
    halo = 2
    dtype: str = 'float32'

    def example(self, n):
        return image_batch(n, 10, 10)

    @nn.compact
    def __call__(self, x, train=False):
        return upsample_bilinear(Convolution(3, 5, dtype=self.dtype)(x), self.scale)
"""


def test_a_network_with_a_size_of_its_own_takes_no_other(tmp_path, monkeypatch):
    (tmp_path / 'fixed.py').write_text(FIXED)
    monkeypatch.setattr(models, '__path__', [*models.__path__, str(tmp_path)])
    module = models.make({'name': 'fixed'})
    variables = module.init(jax.random.key(0), np.zeros((1, 10, 10, 3), np.float32))
    net = LoadedNetwork({'name': 'fixed'}, variables, 'f.pth')
    upscaler, pixels = Upscaler(net), image(10, 10)
    upscaler.prepare([(10, 10), (30, 20)])  # the other's turn comes
    np.testing.assert_allclose(upscaler(pixels), whole(net, pixels), atol=1e-5)
    with pytest.raises(InputError, match=r'f\.pth: .* images of 10x10 pixels, not of 20x10: crop'):
        upscaler(image(10, 20))
    with pytest.raises(InputError, match='neither a tile nor a halo'):
        Upscaler(net, tile=5)


def test_an_empty_image_is_an_error():
    with pytest.raises(InputError, match=r'shape \(5, 0, 3\) is empty'):
        Upscaler(network('srvgg'))(np.zeros((5, 0, 3), np.float32))


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
@pytest.mark.parametrize('consistent', [False, True])
def test_a_result_that_is_not_finite_is_an_error(value, dtype, consistent):
    net = network('srvgg')
    params = jax.tree.map(np.copy, net.variables['params'])
    params['conv_last']['bias'][4] = value
    broken = net._replace(variables={'params': params}, source='broken.pth')
    upscaler = Upscaler(broken, consistent=consistent, devices=jax.devices()[:1])
    with pytest.raises(InputError, match=r'what broken\.pth makes .* not finite: .* bfloat16'):
        upscaler(image(8, 12, dtype))


def test_float16_that_overflows_is_an_error_and_float32_is_not():
    net = network('srvgg')
    params = jax.tree.map(np.copy, net.variables['params'])
    kernel = params['block_0']['conv']['kernel']
    params['block_0']['conv']['kernel'] = 6e4 * np.abs(kernel)  # itself within float16's range
    params['block_1']['conv']['kernel'] /= 6e4
    large = net._replace(variables={'params': params})
    one = dict(devices=jax.devices()[:1])
    assert np.isfinite(Upscaler(large, **one)(image(8, 12))).all()
    with pytest.raises(InputError, match='in float16 numbers end at 65504'):
        Upscaler(large, dtype='float16', **one)(image(8, 12))


def test_what_lies_beyond_an_image_need_not_be_finite(monkeypatch):
    apply_within = programs.apply_within

    def spoil(module, variables, x, valid, **options):
        made = apply_within(module, variables, x, valid, **options)
        inside = np.arange(made.shape[1])[None] < module.scale * valid[:, :1]
        return jax.numpy.where(inside[..., None, None], made, np.nan)

    net = network('srvgg')
    upscaler = Upscaler(net, devices=jax.devices()[:1])
    monkeypatch.setattr(programs, 'apply_within', spoil)
    upscaler.prepare([(30, 20)])
    np.testing.assert_allclose(upscaler(image(8, 12)), whole(net, image(8, 12)), atol=1e-5)


@pytest.mark.parametrize(
    ('pixels', 'message'),
    [
        (image(8, 12).astype(np.float64) * 255, r'float64 from .* must lie in \[0, 1\]'),
        (image(8, 12, np.uint8).astype(np.int16), 'type int16'),
        (image(8, 12)[..., 0], r'shape \(8, 12\) is no RGB image .* sr_jax.upscale takes'),
        (np.where(image(8, 12) > 0.99, np.nan, image(8, 12)), 'not finite'),
    ],
)
@pytest.mark.parametrize('consistent', [False, True])
def test_arrays_that_an_upscaler_refuses(pixels, message, consistent):
    upscaler = Upscaler(network('srvgg'), consistent=consistent)
    with pytest.raises(InputError, match=message):
        upscaler(pixels)


def test_as_a_function_of_the_package():
    net, pixels = network('srvgg'), image(8, 12)
    found = sr_jax.upscale(pixels, net)
    np.testing.assert_allclose(found, whole(net, pixels), atol=1e-5)
    assert sr_jax.upscale(pixels, net, outscale=1.5).shape == (12, 18, 3)
    np.testing.assert_array_equal(sr_jax.upscale(jax.numpy.asarray(pixels), net), found)
    np.testing.assert_array_equal(sr_jax.upscale(pixels.astype(np.float64), net), found)
    with pytest.raises(InputError, match='--outscale'):
        sr_jax.upscale(pixels, net, outscale=0)
    with pytest.raises(InputError, match='the image: its result of .* GiB of memory'):
        sr_jax.upscale(pixels, net, outscale=1e9)
    with pytest.raises(AttributeError, match='downscale'):
        sr_jax.downscale  # noqa: B018


@pytest.mark.parametrize('channels', [None, 1, 2, 3, 4])
def test_a_function_of_any_channels(channels):
    rng = np.random.default_rng(0)
    shape = (5, 7) if channels is None else (5, 7, channels)
    pixels = rng.integers(1, 256, shape, np.uint8)  # nothing is hidden
    found = sr_jax.upscale(pixels, repeating())
    np.testing.assert_array_equal(found, pixels.repeat(2, axis=0).repeat(2, axis=1))


def test_what_goes_wrong_with_a_file_names_it(tmp_path):
    save_image(tmp_path / 'a.png', image(5, 7))
    net = network('srvgg')
    broken = net._replace(variables=jax.tree.map(lambda x: x + np.nan, net.variables))
    with pytest.raises(InputError, match=r'a\.png: what srvgg makes of the image'):
        sr_jax.upscale(tmp_path / 'a.png', broken)


def test_resizing_keeps_the_precision_and_the_range():
    for dtype in (np.uint8, np.uint16, np.float32):
        most = 1 if dtype == np.float32 else np.iinfo(dtype).max
        pixels = np.zeros((9, 10, 3), dtype)
        pixels[:, 5:] = most
        made = resize_lanczos(pixels, (7, 23))
        assert made.shape == (7, 23, 3) and made.dtype == dtype
        assert made.min() == 0 and made.max() == most
        assert (np.diff(made[0, :, 0].astype(np.float64)) >= 0).sum() > 15


@pytest.mark.parametrize('factor', [0.0, -1.0, float('inf'), float('nan'), '2', True, None, 1j])
def test_a_factor_that_is_none(factor):
    with pytest.raises(InputError, match='--outscale'):
        scale_size((5, 5), factor)
