import jax
import numpy as np
import pytest

from benchmarks import rrdb_forward, rrdb_memory
from sr_jax.models.rrdb import RRDBNet

SMALL = {'features': 6, 'growth': 4, 'num_blocks': 2}


def test_the_multiply_adds_are_those_that_xla_counts():
    model = RRDBNet(**SMALL)
    x = jax.ShapeDtypeStruct((1, 24, 24, 3), np.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    flops = jax.jit(model.apply).lower(variables, x).compile().cost_analysis()['flops']
    # XLA leaves out the products with the zeros around an image, and counts activations
    assert 2 * rrdb_forward.multiply_adds(**SMALL) * 24**2 == pytest.approx(flops, rel=0.1)


def test_the_floor_of_the_published_network():
    flops = 2 * rrdb_forward.multiply_adds(**rrdb_forward.MODEL) * 128**2
    assert flops == pytest.approx(587e9, rel=0.005)


def test_another_image_is_refused():
    image = np.zeros((2, 2, 3))
    rrdb_forward.check('other', image + 1e-5, image)
    with pytest.raises(ValueError, match='another image'):
        rrdb_forward.check('other', image + 0.01, image)
    with pytest.raises(ValueError, match='another image'):
        rrdb_forward.check('other', image * np.nan, image)


def test_ratios_are_taken_round_by_round(capsys):
    rounds = [{'JAX': 1.0, 'ncnn': 2.0}, {'JAX': 3.0, 'ncnn': 3.0}, {'JAX': 3.0, 'ncnn': 4.0}]
    rrdb_forward.report(rounds, 6e9)
    printed = capsys.readouterr().out
    assert 'JAX: 3.00 s (least 1.00), 2 GFLOP/s' in printed
    assert 'ratio 0.75 ' in printed and 'all from 0.50 to 1.00); of the least times 0.50' in printed


def test_recomputed_activations_cost_the_blocks_once_more():
    plain, remat = (rrdb_memory.step_flops(remat, 128, 23, 128) for remat in (False, True))
    assert plain == pytest.approx(3 * 587e9 * 8, rel=0.005)
    assert 1.3 < remat / plain < 4 / 3
    # without blocks nothing is computed twice
    assert rrdb_memory.step_flops(True, 128, 0, 128) == rrdb_memory.step_flops(False, 128, 0, 128)


@pytest.mark.slow
def test_memory_on_paper_falls_with_remat_and_microbatches():
    sizes = {
        (remat, count): rrdb_memory.compiled_sizes(
            rrdb_memory.Case('float32', remat, count), batch=16, blocks=1, crop=64
        )
        for remat, count in ((False, 1), (True, 8))
    }
    assert sizes[True, 8].temporary < 0.5 * sizes[False, 1].temporary
    assert all(found.total > found.temporary for found in sizes.values())
    large = rrdb_memory.Sizes(4_790_000_000, 4_000_000_000)
    row = rrdb_memory.line(rrdb_memory.CASES[0], large, 128, 23, 128)
    assert row == '| float32 | no | 1 x 128 | 4.00 | 4.79 | 14.1 | 0.090 | 0.029 |'


def test_a_line_through_two_networks():
    few, more = rrdb_memory.Sizes(10, 4), rrdb_memory.Sizes(16, 8)
    assert rrdb_memory.extended(few, more, (3, 6), 6) == more
    assert rrdb_memory.extended(few, more, (3, 6), 23) == rrdb_memory.Sizes(50, 31)
