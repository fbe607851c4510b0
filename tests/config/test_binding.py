import dataclasses
from collections.abc import Mapping
from typing import Any

import ml_collections
import pytest
from flax import linen as nn

from sr_jax import models, tasks
from sr_jax.config.binding import bind
from sr_jax.config.serialization import differences, from_json, to_json
from sr_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Nested:
    rate: float = 2.0


@dataclasses.dataclass(frozen=True)
class Example:
    steps: int
    rate: float
    name: str
    milestones: tuple[int, ...]
    flips: bool = False
    kernel: str | None = None
    network: str | dict = ''
    share: float | None = None
    bands: tuple[float, ...] = ()
    nested: Nested = Nested()
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)


GOOD = {'steps': 3, 'rate': 1, 'name': 'adam', 'milestones': [1, 2]}


def bound(**changes):
    section = {k: v for k, v in {**GOOD, **changes}.items() if v is not ...}
    return bind(Example, ml_collections.ConfigDict(section), 'config.example')


def test_bind_returns_the_dataclass_with_int_as_float_and_list_as_tuple():
    assert bound(flips=True) == Example(3, 1.0, 'adam', (1, 2), True)
    assert isinstance(bound().rate, float)
    assert bound(kernel=None).kernel is None
    assert bound(kernel='xla').kernel == 'xla'
    assert bound(network='lambda').network == 'lambda'
    assert bound(weights={'a': 4}).weights == {'a': 4.0}
    assert bound(fields={'a': 6, 'b': 'c'}).fields == {'a': 6, 'b': 'c'}
    assert bound(nested=Nested(5.0)).nested == Nested(5.0)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'step': 3}, "config.example has no key 'step': did you mean 'steps'?"),
        ({'steps': ...}, "config.example lacks the key 'steps'"),
        ({'steps': 3.5}, 'config.example.steps must be int, not 3.5 (float)'),
        ({'steps': True}, 'config.example.steps must be int, not True (bool)'),
        ({'rate': 'fast'}, "config.example.rate must be float, not 'fast' (str)"),
        ({'name': 3}, 'config.example.name must be str, not 3 (int)'),
        ({'flips': 1}, 'config.example.flips must be bool, not 1 (int)'),
        ({'milestones': 3}, 'config.example.milestones must be tuple[int, ...], not 3 (int)'),
        ({'milestones': ('a',)}, "config.example.milestones[0] must be int, not 'a' (str)"),
        ({'kernel': 3}, 'config.example.kernel must be str, not 3 (int)'),
        (
            {'zzz': 3},
            "config.example has no key 'zzz': valid: bands, fields, flips, kernel, milestones, "
            'name, nested, network, rate, share, steps, weights',
        ),
        ({'nested': 7}, 'config.example.nested must be a section, not 7; its keys: rate'),
        ({'nested': 'x'}, "config.example.nested must be a section, not 'x'; its keys: rate"),
        ({'nested': None}, 'config.example.nested must be a section, not None; its keys: rate'),
        ({'weights': 5}, 'config.example.weights must be a mapping from names to values, not 5'),
        ({'weights': {'a': 'b'}}, "config.example.weights.a must be float, not 'b' (str)"),
        ({'fields': ()}, 'config.example.fields must be a mapping from names to values, not ()'),
    ],
)
def test_bind_names_what_is_wrong(changes, message):
    with pytest.raises(InputError) as error:
        bound(**changes)
    assert str(error.value) == message


@pytest.mark.parametrize('number', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize(
    ('key', 'around', 'where'),
    [
        ('rate', lambda number: number, 'rate'),
        ('share', lambda number: number, 'share'),
        ('bands', lambda number: (0.5, number), 'bands[1]'),
        ('network', lambda number: {'a': {'b': [number]}}, 'network.a.b[0]'),
        ('nested', lambda number: {'rate': number}, 'nested.rate'),
    ],
)
def test_a_number_that_is_not_finite_is_named_at_any_depth(key, around, where, number):
    with pytest.raises(InputError) as error:
        bound(**{key: around(number)})
    assert str(error.value) == f'config.example.{where} is {number}, but must be a finite number'


@pytest.mark.parametrize(
    ('number', 'told'),
    [
        (1e39, 'is 1e+39'),
        (-1e307, 'is -1e+307'),
        (10**41, 'has more than 38 digits'),
        (-(10**400), 'has more than 38 digits'),
    ],
)
@pytest.mark.parametrize('key', ['rate', 'bands'])
def test_a_number_that_float32_does_not_hold_is_named(key, number, told):
    where = 'bands[0]' if key == 'bands' else key
    with pytest.raises(InputError) as error:
        bound(**{key: (number, 0.25) if key == 'bands' else number})
    expected = f'config.example.{where} {told}, but must be from -3.4e38 to 3.4e38, as in float32'
    assert str(error.value) == expected


def test_the_largest_numbers_are_taken():
    assert bound(rate=3.3e38).rate == 3.3e38
    assert bound(rate=-(10**37)).rate == -1e37


@pytest.mark.parametrize('key', ['steps', 'milestones'])
def test_a_whole_number_that_64_bits_do_not_hold_is_named(key):
    for number, fits in ((2**63 - 1, True), (2**63, False), (-(2**64), False)):
        value = (5, number) if key == 'milestones' else number
        if fits:
            assert getattr(bound(**{key: value}), key) == value
        else:
            with pytest.raises(InputError, match=rf'{key}.* is {number}, but must be under'):
                bound(**{key: value})


class Network(nn.Module):
    """A network whose numbers are those of arrays."""

    widths: tuple[int, ...] = ()
    grain: dict[str, Any] = dataclasses.field(default_factory=dict)


def test_a_number_of_a_network_that_no_array_is_indexed_by_is_named():
    assert bind(Network, {'widths': (3, 2**31 - 1)}, 'config.model').widths[1] == 2**31 - 1
    for section, where in (
        ({'widths': (3, 2**31)}, r'widths\[1\]'),
        ({'grain': {'size': -(2**31)}}, r'grain\.size'),
    ):
        with pytest.raises(InputError, match=rf'config\.model\.{where} is .*under 2\*\*31'):
            bind(Network, section, 'config.model')


def test_two_problems_are_both_named():
    with pytest.raises(InputError) as error:
        bound(step=3, steps=...)
    assert "no key 'step'" in str(error.value)
    assert "lacks the key 'steps'" in str(error.value)


def test_json_round_trip_keeps_tuples_and_locks():
    config = ml_collections.ConfigDict({'a': {'b': (1, 2), 'c': 0.1}, 'd': None})
    back = from_json(to_json(config))
    assert back.to_dict() == config.to_dict()
    assert back.a.b == (1, 2)
    assert back.is_locked


def test_differences_name_every_changed_key():
    old = ml_collections.ConfigDict({'a': {'b': 1, 'c': 2}, 'd': 3})
    new = ml_collections.ConfigDict({'a': {'b': 1, 'c': 5}, 'e': 4})
    assert differences(old, new) == [
        'config.a.c: 2 -> 5',
        'config.d: 3 -> (absent)',
        'config.e: (absent) -> 4',
    ]


def test_what_is_no_number_is_not_different_from_itself():
    old, new = ({'a': float('nan'), 'b': first} for first in (3.0, float('nan')))
    assert differences(old, new) == ['config.b: 3.0 -> nan']


@pytest.mark.parametrize('name', ['terms', 'shared', 'task', 'nonsense.module', 3])
def test_what_is_no_task_is_one_line_that_names_the_tasks(name):
    with pytest.raises(InputError) as error:
        tasks.make(ml_collections.ConfigDict({'task': name}))
    message = str(error.value)
    assert message.startswith(f'config.task={name!r} is unknown: ')
    assert '\n' not in message
    assert 'regression' in message
    assert 'shared' not in message.partition(': ')[2]


def test_a_module_without_a_network_is_none():
    with pytest.raises(InputError, match=r"config.model.name='__init__' is unknown"):
        models.make({'name': '__init__'})


def test_unknown_task_and_model_name_the_nearest():
    with pytest.raises(InputError, match="config.task='vqvea' is unknown: did you mean 'vqvae'?"):
        tasks.make(ml_collections.ConfigDict({'task': 'vqvea'}))
    with pytest.raises(InputError, match="config.model.name='vqva' is unknown: did you mean"):
        models.make({'name': 'vqva'})
    with pytest.raises(
        InputError, match="config.model has no key 'chanels': did you mean 'channels"
    ):
        models.make({'name': 'vqvae', 'chanels': 3})
