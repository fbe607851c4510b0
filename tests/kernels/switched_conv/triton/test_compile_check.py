import pytest
from sr_jax.kernels.gpu.compile_check import Report
from sr_jax.kernels.gpu.device import A100, H100, L4
from sr_jax.kernels.switched_conv.cases import DTYPES, NETWORKS
from sr_jax.kernels.switched_conv.triton import block_sizes, compile_check

pytest.importorskip('triton', reason='the wheel of Triton exists for Linux only')

KERNELS = {
    *('count', 'bounds', 'place', 'forward', 'mark'),
    *('unfold', 'fold', 'masked', 'weight', 'reduce'),
}


@pytest.mark.parametrize(
    ('number', 'dtype', 'gpu'),
    [
        pytest.param(0, 'bfloat16', H100, marks=pytest.mark.slow),
        (2, 'float32', A100),
        (4, 'float16', L4),
    ],  # the others where slow tests are asked for
)
def test_kernels_compile_as_they_should(number, dtype, gpu):
    found = compile_check.calls(NETWORKS[number], dtype, gpu)
    designs = block_sizes.input_designs(block_sizes.shape_of(NETWORKS[number], dtype))
    assert {call.name for call in found} == KERNELS | ({'shared'} & {*designs})
    for call in found:
        report = compile_check.compile_call(call, gpu.capability)
        assert report.registers > 0
        assert not compile_check.find_faults(report), report
        if call.name in compile_check.PRODUCTS and NETWORKS[number].channels % 16 == 0:
            assert report.wide_loads > 0, report


@pytest.mark.slow
@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('case', NETWORKS)
def test_every_case_compiles_as_it_should(case, dtype):
    for report, faults in compile_check.check(case, dtype):
        assert not faults, report


@pytest.mark.slow
def test_float32_on_request_does_without_tensor_cores():
    for report, faults in compile_check.check(NETWORKS[0], 'float32', 'ieee'):
        assert not faults, report
        assert not report.tensor_cores


def test_only_products_need_tensor_cores():
    report = Report('forward', 80, 255, 0, 100_000, 0, 8)
    assert compile_check.find_faults(report) == ['no tensor cores']
    assert compile_check.find_faults(report, 'ieee') == []
    assert compile_check.find_faults(report._replace(name='fold')) == []


def test_the_cases_reach_from_images_to_deep_features():
    assert {3, 512} <= {case.channels for case in NETWORKS}
    assert {2, 64} <= {case.breadth for case in NETWORKS}
    assert {1, 2} <= {case.stride for case in NETWORKS}
    assert {3, 5} <= {case.size for case in NETWORKS}
