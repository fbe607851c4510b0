import numpy as np
import pytest
from sr_jax.kernels.switched_conv.cases import ROOFLINE, Case
from sr_jax.kernels.switched_conv.real_selectors import FILE, real_selector


def distinct(selector):
    """Kernels in a neighbourhood of 3 x 3, on average."""
    windows = np.lib.stride_tricks.sliding_window_view(selector, (3, 3)).reshape(-1, 9)
    return (np.diff(np.sort(windows, axis=1), axis=1) != 0).sum(1).mean() + 1


@pytest.mark.parametrize('case', [*ROOFLINE, Case(3, 17, 200, 1, 1, breadth=5, size=3, stride=2)])
def test_selectors_of_any_size_and_breadth(case):
    case = case._replace(images=min(case.images, 5))
    selector = real_selector(case)
    assert selector.dtype == 'int32'
    sides = -(-case.height // case.stride), -(-case.width // case.stride)
    assert selector.shape == (case.images, *sides)
    assert selector.min() >= 0
    assert selector.max() < case.breadth
    assert len(np.unique(selector)) > case.breadth // 2


def test_neighbours_share_kernels_more_than_by_chance():
    case = ROOFLINE[0]._replace(images=1)
    random = np.random.default_rng(0).integers(0, case.breadth, (case.height, case.width))
    assert distinct(real_selector(case)[0]) < 4 < distinct(random)


def test_the_file_is_small():
    assert FILE.stat().st_size < 60_000
