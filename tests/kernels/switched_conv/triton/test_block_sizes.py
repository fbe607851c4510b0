import pytest
from sr_jax.kernels.gpu import autotune
from sr_jax.kernels.gpu.device import A100, H100, L4, shared_memory
from sr_jax.kernels.switched_conv.cases import DTYPES, NETWORKS, ROOFLINE
from sr_jax.kernels.switched_conv.triton import block_sizes
from sr_jax.kernels.switched_conv.triton.block_sizes import Shape, Tile, shape_of

SHAPE = Shape(64, 128, 8, 3, 1, 'bfloat16')


@pytest.fixture
def tuned(tmp_path, monkeypatch):
    """An empty folder of tuned block sizes."""
    monkeypatch.setattr(block_sizes, 'TUNED', tmp_path)
    block_sizes._load_tuned.cache_clear()
    yield tmp_path
    block_sizes._load_tuned.cache_clear()


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
    found = {block_sizes.key(SHAPE): {'forward': other, 'weight_chunks': 3}}
    assert default.weight_chunks == 1
    autotune.save(tuned / autotune.file_name(H100.name), found)
    block_sizes._load_tuned.cache_clear()
    assert block_sizes.block_sizes(SHAPE, H100) == default._replace(forward=other, weight_chunks=3)
    assert block_sizes.block_sizes(SHAPE, A100).forward != other
    assert block_sizes.block_sizes(SHAPE._replace(stride=2), H100) == default


def test_the_package_holds_tuned_sizes():
    (file,) = block_sizes.TUNED.glob('*.json')
    assert file.name == autotune.file_name('NVIDIA H200')


def test_tiles_shrink_to_the_blocks():
    sizes = block_sizes.block_sizes(SHAPE, A100)
    assert sizes.forward.rows > 64
    small = block_sizes.fit_to_block(sizes, 8)
    assert {small.forward.rows, small.unfold.rows, small.weight.rows} == {16}
    assert block_sizes.fit_to_block(sizes, 1024) == sizes


def test_shared_memory_is_for_half_types_and_pixels_that_lie_as_those_of_x():
    assert 'shared' in block_sizes.input_designs(SHAPE)
    for change in (dict(dtype='float32'), dict(stride=2), dict(features=129)):
        assert 'shared' not in block_sizes.input_designs(SHAPE._replace(**change))


@pytest.mark.parametrize('gpu', [A100, L4, H100])
@pytest.mark.parametrize('case', [*NETWORKS, *ROOFLINE])
def test_windows_fit_into_shared_memory(case, gpu):
    shape = shape_of(case, 'bfloat16')
    tile = block_sizes.block_sizes(shape, gpu).shared
    if 'shared' in block_sizes.input_designs(shape):
        numbers = tile.rows * tile.columns * (block_sizes.power_of_two(case.features) + tile.depth)
        assert 2 * numbers <= shared_memory(gpu.capability)
        assert min(tile.rows, tile.columns) > case.size
