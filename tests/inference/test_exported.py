"""Networks as programs of StableHLO and ONNX: the same images, of any sides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from tiny_networks import SMALL, drawn, network

from sr_jax.errors import InputError
from sr_jax.inference import exported


def images(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def compare(net, found, given):
    expected = jax.jit(net.module().apply)(net.variables, given)
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize('name', ['srvgg', 'swinir'])
def test_stablehlo_takes_any_number_of_images_of_any_sides(name, tmp_path):
    net, path = network(name), tmp_path / 'x.stablehlo'
    exported.write_stablehlo(path, net)
    call = exported.read_stablehlo(path)
    for shape in ((1, 4, 7, 3), (2, 9, 5, 3)):
        compare(net, call(images(*shape)), images(*shape))
    assert export.deserialize(bytearray(path.read_bytes())).platforms == exported.PLATFORMS


# Its images become small ones, as often as their sides say.
RGT = dict(
    name='rgt',
    scale=3,
    features=32,
    num_groups=1,
    num_blocks=2,
    heads=4,
    split=(2, 6),
    reduced=12,
    hidden=10,
    head_features=5,
)


def test_what_depends_on_sides_is_a_program_of_some_of_them(tmp_path):
    net, path = drawn(RGT), tmp_path / 'x.stablehlo'
    exported.write_stablehlo(path, net)
    call = exported.read_stablehlo(path)
    compare(net, call(images(2, 16, 19, 3)), images(2, 16, 19, 3))
    for shape in ((1, 15, 19, 3), (1, 17, 1024, 3)):
        with pytest.raises(ValueError, match='shape'):
            call(images(*shape))


def test_switched_convolutions_become_stablehlo_of_one_size(tmp_path):
    net, path = network('switched_sr'), tmp_path / 'x.stablehlo'
    with pytest.raises(InputError, match='switched_sr does not become .*--size'):
        exported.write_stablehlo(path, net)
    assert not path.exists()
    exported.write_stablehlo(path, net, (6, 11))
    compare(net, exported.read_stablehlo(path)(images(1, 6, 11, 3)), images(1, 6, 11, 3))


def test_what_enlarges_nothing_is_refused(tmp_path):
    for write in (exported.write_stablehlo, exported.write_onnx):
        with pytest.raises(InputError, match=r'does not enlarge|jax2onnx, which is not'):
            write(tmp_path / 'x', drawn(SMALL['vqvae']))


def test_files_of_no_use_are_named(tmp_path):
    with pytest.raises(InputError, match=r'none\.stablehlo: No such file'):
        exported.read_stablehlo(tmp_path / 'none.stablehlo')
    (tmp_path / 'x.stablehlo').write_bytes(b'something else')
    with pytest.raises(InputError, match=r'x\.stablehlo: damaged, or no program'):
        exported.read_stablehlo(tmp_path / 'x.stablehlo')


def test_onnx_of_some_sides_says_which(tmp_path):
    pytest.importorskip('jax2onnx')
    import onnxruntime

    net = drawn(RGT)
    assert exported.write_onnx(tmp_path / 'x.onnx', net) < 2e-5
    session = onnxruntime.InferenceSession(tmp_path / 'x.onnx')
    (found,) = session.run(None, {'input': images(2, 16, 19, 3).transpose(0, 3, 1, 2)})
    compare(net, found.transpose(0, 2, 3, 1), images(2, 16, 19, 3))
    for sides in ((15, 19), (17, 1024), (9, 11)):
        with pytest.raises(Exception, match='takes_sides_of_16_to_1023_pixels'):
            session.run(None, {'input': np.zeros((1, 3, *sides), np.float32)})


@pytest.mark.parametrize('name', ['srvgg', 'swinir'])
def test_onnx_computes_the_same(name, tmp_path):
    pytest.importorskip('jax2onnx')
    import onnxruntime

    net = network(name)
    difference = exported.write_onnx(tmp_path / 'x.onnx', net)
    assert difference < 2e-5
    session = onnxruntime.InferenceSession(tmp_path / 'x.onnx')
    for shape in ((1, 4, 7, 3), (2, 9, 5, 3)):
        (found,) = session.run(None, {'input': images(*shape).transpose(0, 3, 1, 2)})
        compare(net, found.transpose(0, 2, 3, 1), images(*shape))


def test_a_network_that_rounding_changes_may_differ_by_ten_times_that():
    x = images(2, 5, 7, 3)
    assert exported.measure_rounding(lambda x: x / 3, x) < 2e-7
    steep = exported.measure_rounding(lambda x: jnp.sin(2e4 * x), x)
    assert steep > 1e-3
    assert exported.allow(2e-7) == exported.MAX_ERROR
    assert exported.allow(1e-3) == pytest.approx(1e-2)
    assert exported.allow(steep + 1) == exported.MAX_ROUNDING


def test_onnx_that_differs_is_not_written(tmp_path, monkeypatch):
    pytest.importorskip('jax2onnx')
    monkeypatch.setattr(exported, 'MAX_ERROR', 0.0)
    monkeypatch.setattr(exported, 'ROUNDINGS', 0.0)
    with pytest.raises(InputError, match='gives another image'):
        exported.write_onnx(tmp_path / 'x.onnx', network('srvgg'))
    assert not (tmp_path / 'x.onnx').exists()
