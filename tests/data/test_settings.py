import pytest

from sr_jax.errors import InputError


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('crop_size', 0),
        ('workers', -1),
        ('cache_bytes', -1),
        ('max_rejected', -1),
        ('validation_crops', 0),
        ('validation_fraction', 0.0),
        ('validation_fraction', 1.0),
    ],
)
def test_a_number_out_of_range_is_named(make_settings, key, value):
    with pytest.raises(InputError, match=rf'data\.{key} is {value}'):
        make_settings(**{key: value})
