"""Options that cannot be meant are named, before a network is begun."""

import jax
import numpy as np
import pytest
from tiny_networks import network

import sr_jax
from sr_jax.errors import InputError
from sr_jax.inference import upscale
from sr_jax.inference.options import check_option, check_options
from sr_jax.inference.upscaler import Upscaler

PIXELS = np.zeros((5, 7, 3), np.uint8)


@pytest.mark.parametrize(
    ('option', 'value', 'message'),
    [
        ('products', 'x', "products 'x': it must be one of 'auto', 'all', 'few'"),
        ('dtype', 'float8', "dtype 'float8': it must be one of 'float32', 'bfloat16', 'float16'"),
        ('dtype', np.float32, 'it must be one of'),
        ('tile', -1, 'tile -1: it must not be negative'),
        ('tile', 0.5, 'tile 0.5: it must be a whole number'),
        ('tile', None, 'tile None: it must be a whole number'),
        ('tile', True, 'tile True: it must be a whole number'),
        ('halo', -1, 'halo -1: it must not be negative'),
        ('halo', '3', "halo '3': it must be a whole number"),
        ('memory_limit', 2.5, 'memory_limit 2.5: it must be a whole number'),
        ('memory_limit', -2, 'memory_limit -2: it must not be negative'),
        ('seed', -3, 'seed -3: it must not be negative'),
        ('temperature', float('nan'), 'temperature nan: it must be a finite number'),
        ('temperature', '1', "temperature '1': it must be a finite number"),
        ('spatially', 'no', "spatially 'no': it must be True or False"),
        ('consistent', 1, 'consistent 1: it must be True or False'),
        ('bounded', None, 'bounded None: it must be True or False'),
        ('devices', 'cpu', "devices 'cpu': give a list of devices, such as jax.devices()[:1]"),
        ('devices', jax.devices()[0], 'give a list of devices'),
        ('devices', jax.devices()[:1] * 2, 'it names a device twice'),
    ],
)
def test_an_option_that_cannot_be_meant_is_named(option, value, message):
    with pytest.raises(InputError) as error:
        Upscaler(network('srvgg'), **{option: value})
    assert message in str(error.value)
    with pytest.raises(InputError) as again:
        sr_jax.upscale(PIXELS, 'no-such-weights', **{option: value})
    assert str(again.value) == str(error.value)


def test_a_name_of_no_option_is_told_with_the_nearest_one():
    with pytest.raises(InputError, match=r"^an image .* an option 'tiles': did you mean 'tile'\?$"):
        sr_jax.upscale(PIXELS, 'no-such-weights', tiles=3)


def test_numbers_of_numpy_are_numbers():
    check_options(tile=np.int64(3), halo=np.uint8(2), temperature=np.float32(0.5), seed=7)
    check_options(halo=None, spatially=np.bool_(True), report=print)


def test_numbers_of_few_bits_do_not_overflow():
    upscaler = Upscaler(network('srvgg'), tile=np.uint8(200), halo=np.int8(9), seed=np.int8(3))
    assert upscaler(PIXELS).shape == (10, 14, 3)


def test_the_command_line_has_its_own_name_for_it():
    with pytest.raises(InputError, match=r'^--memory inf: it must be a finite number$'):
        check_option('memory', float('inf'), '--memory')


def test_devices_of_weights_by_name_may_be_a_list(monkeypatch):
    loaded = []

    def load(name):
        loaded.append(name)
        return network('srvgg')

    monkeypatch.setattr(upscale.networks, 'load', load)
    upscale._load_upscaler.cache_clear()
    for _ in range(2):
        found = upscale.upscale(PIXELS, 'mine', devices=jax.devices()[:1])
    upscale._load_upscaler.cache_clear()
    assert (found.shape, loaded) == ((10, 14, 3), ['mine'])
