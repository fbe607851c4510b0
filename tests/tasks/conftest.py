import pytest
import tiny

from sr_jax.models import discriminators


@pytest.fixture(scope='module')
def small_discriminators():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(discriminators, 'Model', tiny.TinyDiscriminator)
        yield
