import pytest

from sr_jax.degradations import read_settings
from sr_jax.errors import InputError


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('first.sinc_prob', 1.5, 'first: sinc_prob=1.5 is a probability'),
        ('first.kernel_probs', (0.5, 0.5), 'kernel_probs=.* must be the probabilities of iso'),
        ('second.resize_probs', (0.5, 0.5, 0.5), 'second: resize_probs=.* of up, down, keep'),
        ('second.resize_probs', (1.5, -0.5, 0.0), 'second: resize_probs'),
        ('first.blur_sigma', (3.0, 0.2), 'blur_sigma=.*lowest, highest'),
        ('first.blur_sigma', (0.0, 0.2), 'blur_sigma=.*at least 0.05'),
        ('first.gaussian_sigma', (1.0, 2.0, 3.0), 'gaussian_sigma'),
        ('first.jpeg_quality', (0, 95), 'jpeg_quality'),
        ('first.jpeg_quality', (30, 101), 'jpeg_quality=.*beyond 100'),
        ('first.jpeg_quality', (30.5, 101), r'jpeg_quality\[0\] must be int'),
        ('second.resize_range', (1.1, 1.2), 'resize_range=.*must hold 1'),
        ('kernel_sizes', (7, 20), 'kernel_sizes=.*must be odd'),
        ('final_sinc_prob', -0.1, 'final_sinc_prob'),
        ('name', 'second_ordr', "name='second_ordr': did you mean 'second_order'"),
    ],
)
def test_what_is_out_of_range_is_named(published, key, value, message):
    published.unlock()
    section, _, name = key.rpartition('.')
    with published.ignore_type():
        (published[section] if section else published)[name] = value
    with pytest.raises(InputError, match=message):
        read_settings(published)


def test_a_name_without_its_keys_is_told_how_to_be_given():
    section = dict(name='second_order', rounded=True)  # as --config.degradation.name= leaves it
    remedy = r"""keys of 'bicubic': .* --config\.degradation="{'name': 'second_order'}"$"""
    with pytest.raises(InputError, match=remedy):
        read_settings(section)
    assert read_settings(dict(name='second_order')).sharpened


def test_a_misspelt_key_is_told_the_nearest(published):
    published.unlock()
    published.first.blur_sigmas = (0.2, 3.0)
    with pytest.raises(InputError, match="no key 'blur_sigmas': did you mean 'blur_sigma'"):
        read_settings(published)
