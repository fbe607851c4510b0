"""The operations of a network are those of its convolutions; a machine's speed is a number."""

import pytest
from tiny_networks import network

from sr_jax.errors import InputError
from sr_jax.inference import speed


def test_the_operations_of_convolutions_are_counted():
    convolutions = 2 * 9 * (3 * 7 + 7 * 7 + 7 * 12)  # of one feature after the other: SRVGG, x2
    found = speed.count_operations(network('srvgg'))
    assert convolutions * 0.9 < found < convolutions * 1.3  # at edges fewer; activations more


def test_seconds_are_operations_by_speed(monkeypatch):
    monkeypatch.setattr(speed, 'measure_machine', lambda: 2e9)
    net = network('srvgg')
    assert speed.seconds_per_megapixel(net) == speed.count_operations(net) / 2e3


def test_a_network_that_does_not_enlarge_is_named():
    with pytest.raises(InputError, match='does not enlarge'):
        speed.count_operations(network('vqvae'))


def test_the_machine_is_measured_once(monkeypatch):
    monkeypatch.setattr(speed, 'LEAST_SECONDS', 0.001)
    speed.measure_machine.cache_clear()
    assert 1e7 < speed.measure_machine() == speed.measure_machine() < 1e16
    speed.measure_machine.cache_clear()
