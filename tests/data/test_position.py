import json

import pytest
from tiny import vqvae

from sr_jax.data.pipeline import train_iterator
from sr_jax.errors import InputError
from sr_jax.training.settings import read_settings


@pytest.fixture(scope='module')
def iterator():
    made = train_iterator(read_settings(vqvae()).data, 4, 0)
    yield made
    made.close()


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('crops_taken', -1),
        ('crops_taken', 2**48),
        ('crops_taken', 1.5),
        ('crops_taken', '3'),
        ('crops_taken', True),
        ('crops_taken', None),
        ('made_from', []),
        ('rejected', ['a.png']),
        ('rejected', {'a.png': 3}),
    ],
)
def test_what_is_no_position_is_named_and_changes_nothing(key, value, iterator):
    next(iterator)
    before = iterator.get_state()
    with pytest.raises(InputError, match=f'position in the checkpoint is of no use: {key} '):
        iterator.set_state({**before, key: value})
    lacking = {k: v for k, v in before.items() if k != key}
    with pytest.raises(InputError, match=f'position in the checkpoint is of no use: {key} '):
        iterator.set_state(lacking)
    assert iterator.get_state() == before


def test_the_last_position_of_all_can_be_gone_on_from(iterator):
    state = json.loads(json.dumps({**iterator.get_state(), 'crops_taken': 2**48 - 1}))
    iterator.set_state(state)
    assert next(iterator)['hq'].shape == (4, 16, 16, 3)
