import pytest
from sr_jax.kernels.gpu.device import A100, H100, H200, L4
from sr_jax.kernels.gpu.roofline import CHIPS, LAUNCH, Work, min_seconds, nearest_chip


@pytest.mark.parametrize(
    ('work', 'dtype', 'expected'),
    [
        (Work(operations=989e12, part=0.5), 'bfloat16', 2.0),
        (Work(operations=989e12, part=0.5, memory=4.8e12 * 0.85 * 3), 'bfloat16', 3.0),
        (Work(operations=494e12, cache=5.5e12 * 0.7), 'float32', 1.0),
        (Work(cache=5.5e12 * 7), 'float16', 7.0),
        (Work(launches=4), 'float16', 4 * LAUNCH),
    ],
)
def test_what_takes_longest_counts(work, dtype, expected):
    assert min_seconds(work, CHIPS[0], dtype) == pytest.approx(expected)


def test_the_nearest_chip():
    assert nearest_chip(H200).gpu == H200
    assert nearest_chip(H100).gpu == H100
    assert nearest_chip(H100._replace(name='NVIDIA GH200')).gpu == H200
    assert nearest_chip(L4).gpu == A100
