import jax
import pytest
from sr_jax.kernels.gpu.device import H100, L4, present_gpu


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
    assert present_gpu() == expected


def test_an_unknown_gpu_is_like_those_of_its_capability(monkeypatch):
    changes = {'compute_capability': '8.9', 'device_kind': 'NVIDIA L40S'}
    monkeypatch.setattr(jax, 'devices', lambda: [type('Device', (OldGpu,), changes)()])
    assert present_gpu() == L4._replace(name='NVIDIA L40S')
