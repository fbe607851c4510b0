import importlib.util
import sys

import jax
import pytest
from sr_jax.kernels.gpu import jax_triton

JAX_TRITON = importlib.util.find_spec('jax_triton') is not None


@pytest.fixture(autouse=True)
def _asked_anew():
    jax_triton.find_obstacle.cache_clear()
    yield
    jax_triton.find_obstacle.cache_clear()


@pytest.mark.skipif(not JAX_TRITON, reason='jax-triton needs Python 3.12 and Linux')
def test_its_rule_for_dead_code_has_to_be_replaced():
    """Where this fails, jax-triton has a rule that fits: ours in jax_triton.py can go."""
    assert jax.__version_info__ < (0, 12) or jax_triton.lacks_rule_for_dead_code()


@pytest.mark.skipif(not JAX_TRITON, reason='jax-triton needs Python 3.12 and Linux')
def test_nothing_is_in_its_way():
    assert jax_triton.find_obstacle() is None


def test_python_3_11_is_an_obstacle(monkeypatch):
    monkeypatch.setattr(sys, 'version_info', (3, 11, 9))
    assert jax_triton.find_obstacle() == 'jax-triton needs Python 3.12 or later'


@pytest.mark.parametrize('package', ['jax_triton', 'triton'])
def test_what_is_missing_is_named_with_the_remedy(monkeypatch, package):
    monkeypatch.setattr(sys, 'version_info', (3, 13, 0))
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: None if name == package else found('json')
    )
    assert jax_triton.find_obstacle() == (
        f"{package} is not installed (pip install 'sr_jax[cuda12]' or 'sr_jax[cuda13]')"
    )


def test_another_version_is_an_obstacle_in_one_line(monkeypatch):
    def fail():
        raise ImportError('cannot import name X\nfrom Y')

    monkeypatch.setattr(sys, 'version_info', (3, 13, 0))
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name)
    monkeypatch.setattr(jax_triton, 'load', fail)
    found = jax_triton.find_obstacle()
    assert found.startswith('jax-triton, Triton and JAX ')
    assert 'cannot import name X; pip install' in found
    assert '\n' not in found
