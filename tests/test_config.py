import dataclasses

import ml_collections
import pytest

from sr_jax import config as config_lib
from sr_jax import models, tasks
from sr_jax.errors import InputError
from sr_jax.tasks.task import TrainSettings


@dataclasses.dataclass(frozen=True)
class Example:
    steps: int
    rate: float
    name: str
    milestones: tuple[int, ...]
    flips: bool = False
    kernel: str | None = None
    network: str | dict = ''


GOOD = {'steps': 3, 'rate': 1, 'name': 'adam', 'milestones': [1, 2]}


def bind(**changes):
    section = {k: v for k, v in {**GOOD, **changes}.items() if v is not ...}
    return config_lib.bind(Example, ml_collections.ConfigDict(section), 'config.example')


def test_bind_returns_the_dataclass_with_int_as_float_and_list_as_tuple():
    assert bind(flips=True) == Example(3, 1.0, 'adam', (1, 2), True)
    assert isinstance(bind().rate, float)
    assert bind(kernel=None).kernel is None
    assert bind(kernel='blocked').kernel == 'blocked'
    assert bind(network='lambda').network == 'lambda'


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
            "config.example has no key 'zzz': valid: flips, kernel, milestones, name, network, "
            'rate, steps',
        ),
    ],
)
def test_bind_names_what_is_wrong(changes, message):
    with pytest.raises(InputError) as error:
        bind(**changes)
    assert str(error.value) == message


def test_two_problems_are_both_named():
    with pytest.raises(InputError) as error:
        bind(step=3, steps=...)
    assert "no key 'step'" in str(error.value)
    assert "lacks the key 'steps'" in str(error.value)


def test_json_round_trip_keeps_tuples_and_locks():
    config = ml_collections.ConfigDict({'a': {'b': (1, 2), 'c': 0.1}, 'd': None})
    back = config_lib.from_json(config_lib.to_json(config))
    assert back.to_dict() == config.to_dict()
    assert back.a.b == (1, 2)
    assert back.is_locked


def test_differences_name_every_changed_key():
    old = ml_collections.ConfigDict({'a': {'b': 1, 'c': 2}, 'd': 3})
    new = ml_collections.ConfigDict({'a': {'b': 1, 'c': 5}, 'e': 4})
    assert config_lib.differences(old, new) == [
        'config.a.c: 2 -> 5',
        'config.d: 3 -> (absent)',
        'config.e: (absent) -> 4',
    ]


def test_unknown_task_and_model_name_the_nearest():
    with pytest.raises(InputError, match="config.task='vqvea' is unknown: did you mean 'vqvae'?"):
        tasks.make(ml_collections.ConfigDict({'task': 'vqvea'}))
    with pytest.raises(InputError, match="config.model.name='vqva' is unknown: did you mean"):
        models.make({'name': 'vqva'})
    with pytest.raises(
        InputError, match="config.model has no key 'chanels': did you mean 'channels"
    ):
        models.make({'name': 'vqvae', 'chanels': 3})


@pytest.mark.parametrize('key', ['steps', 'batch_size', 'accumulation'])
def test_train_settings_must_be_positive(key):
    good = dict(steps=1, batch_size=1, accumulation=1, effective_batch_size=0, memory_limit=0)
    with pytest.raises(InputError, match=f'config.train.{key} must be at least 1'):
        TrainSettings(**{**good, 'remat': False, key: 0})
