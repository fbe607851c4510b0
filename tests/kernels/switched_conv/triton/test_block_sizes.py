import json

import jax
import jax.numpy as jnp
import pytest
from sr_jax.kernels.switched_conv.cases import NETWORKS, ROOFLINE, Case
from sr_jax.kernels.switched_conv.triton import autotune, block_sizes
from sr_jax.kernels.switched_conv.triton.block_sizes import A100, H100, L4, Shape, Tile
from sr_jax.kernels.switched_conv.triton.compile_check import DTYPES, shape_of

SHAPE = Shape(64, 64, 8, 3, 1, 'bfloat16')


@pytest.fixture
def tuned(tmp_path, monkeypatch):
    """An empty folder of tuned block sizes."""
    monkeypatch.setattr(block_sizes, 'TUNED', tmp_path)
    block_sizes._tuned.cache_clear()
    yield tmp_path
    block_sizes._tuned.cache_clear()


@pytest.mark.parametrize('gpu', [A100, L4, H100])
@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('case', [*NETWORKS, *ROOFLINE])
def test_tiles_are_powers_of_two(case, dtype, gpu):
    for precision in block_sizes.PRECISIONS:
        for value in block_sizes.block_sizes(shape_of(case, dtype), gpu, precision):
            if isinstance(value, Tile):
                sides = (value.rows, value.columns, value.depth or 1, value.warps)
                assert all(side & (side - 1) == 0 for side in sides)


def test_tuned_sizes_come_before_the_defaults(tuned):
    default = block_sizes.block_sizes(SHAPE, H100)
    other = default.forward._replace(rows=64, stages=4)
    found = {block_sizes.key(SHAPE): {'forward': other, 'weight_chunks': 1}}
    autotune.save(tuned / block_sizes.file_name(H100.name), found)
    block_sizes._tuned.cache_clear()
    assert block_sizes.block_sizes(SHAPE, H100) == default._replace(forward=other, weight_chunks=1)
    assert block_sizes.block_sizes(SHAPE, A100).forward != other
    assert block_sizes.block_sizes(SHAPE._replace(stride=2), H100) == default


def test_saving_keeps_the_other_shapes(tmp_path):
    path = tmp_path / 'new' / 'gpu.json'
    autotune.save(path, {'a': {'weight_chunks': 1}, 'b': {}})
    autotune.save(path, {'b': {'weight_chunks': 2}})
    assert json.loads(path.read_text()) == {'a': {'weight_chunks': 1}, 'b': {'weight_chunks': 2}}
    assert [file.name for file in path.parent.iterdir()] == ['gpu.json']


class OldGpu:
    platform = 'gpu'
    device_kind = 'Tesla T4'
    compute_capability = '7.5'
    client = type('Client', (), {'platform_version': 'cuda 12090'})


@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        ({}, None),  # Triton does not compile for it
        ({'compute_capability': '9.0', 'device_kind': H100.name}, H100),
        ({'compute_capability': '8.9', 'device_kind': L4.name}, L4),
        ({'client': type('Client', (), {'platform_version': 'rocm 70'})}, None),
        ({'platform': 'cpu'}, None),
    ],
)
def test_the_gpu_of_the_process(monkeypatch, changes, expected):
    device = type('Device', (OldGpu,), changes)()
    monkeypatch.setattr(jax, 'devices', lambda: [device])
    assert block_sizes.present_gpu() == expected


def test_file_names_are_plain():
    assert block_sizes.file_name('NVIDIA H100 80GB HBM3') == 'nvidia_h100_80gb_hbm3.json'


def test_tiles_shrink_to_the_blocks():
    sizes = block_sizes.block_sizes(SHAPE, A100)
    assert sizes.forward.rows > 64
    small = block_sizes.fitted(sizes, 8)
    assert {small.forward.rows, small.unfold.rows, small.weight.rows} == {16}
    assert block_sizes.fitted(sizes, 1024) == sizes


def test_the_fastest_variant_is_chosen(monkeypatch):
    """With a clock that likes one tile, on the interpreter."""
    case = Case(1, 4, 5, 2, 3, breadth=2, size=1, stride=1)
    sizes = block_sizes.block_sizes(shape_of(case, 'float32'), A100)
    wanted = {
        'forward': sizes.forward._replace(stages=7),
        'weight': sizes.weight._replace(stages=7),
        'masked': sizes.masked._replace(stages=7),
    }

    def variants(field, sizes, shape):
        return [{field: wanted[field]}] if field in wanted else []

    monkeypatch.setattr(autotune, 'variants', variants)
    monkeypatch.setattr(autotune, 'stages', lambda *args: [])
    clock = iter(range(100, 0, -1))
    chosen = autotune.tune(case, 'float32', A100, lambda call: next(clock), interpret=True)
    assert chosen == wanted


def test_a_wrong_or_failing_variant_is_named_and_left_out(capsys):
    one = jnp.ones(3)

    def build(sizes):
        if sizes.weight_chunks == 7:
            raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: shared memory\nmore')
        return lambda: sizes.weight_blocks * one

    sizes = block_sizes.block_sizes(SHAPE, H100)._replace(weight_blocks=1)
    changes = [{'weight_chunks': 7}, {'weight_blocks': 2}, {}]
    seconds = iter([3.0])
    chosen = autotune._fastest(build, sizes, changes, one, lambda call: next(seconds), threads=2)
    assert chosen == ({}, 3.0)
    printed = capsys.readouterr().out
    assert "left out: {'weight_chunks': 7}: RESOURCE_EXHAUSTED: shared memory\n" in printed
    assert "{'weight_blocks': 2}: its result is off by 1" in printed


def test_variants_differ_from_the_present():
    sizes = block_sizes.block_sizes(SHAPE, H100)
    for field in ('forward', 'unfold', 'fold', 'masked', 'weight', 'input_design', 'unfold_bytes'):
        found = autotune.variants(field, sizes, SHAPE)
        assert sum(sizes._replace(**change) != sizes for change in found) >= 1
    assert {change['weight'].stages for change in autotune.stages('weight', sizes)} == {
        1,
        2,
        4,
        5,
    }
    assert autotune.stages('fold', sizes) == []
