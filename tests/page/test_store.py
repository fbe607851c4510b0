"""Files that come are bounded, found by their ids alone, and gone at the end."""

import asyncio

import pytest

from sr_jax.errors import InputError
from sr_jax.page.limits import Limits
from sr_jax.page.store import Store, clean_name


async def pieces(*chunks):
    for chunk in chunks:
        yield chunk


def receive(store, name, *chunks, most=100):
    return asyncio.run(store.receive(name, pieces(*chunks), most))


@pytest.fixture
def store():
    made = Store(Limits(image_bytes=50, total_bytes=120))
    yield made
    made.close()


def test_a_file_comes_in_pieces_and_is_gone_when_the_store_is(store):
    kept = receive(store, 'a.png', b'one', b'two')
    assert store.get(kept.id).path.read_bytes() == b'onetwo'
    assert kept.path.is_relative_to(store.folder)
    assert kept.size == 6
    store.remove(kept.id)
    assert not kept.path.parent.exists()
    with pytest.raises(InputError, match='drop it again'):
        store.get(kept.id)
    folder = receive(store, 'b.png', b'x').path.parents[1]
    store.close()
    assert not folder.exists()


def test_what_is_too_large_leaves_nothing(store):
    with pytest.raises(InputError, match=r'a\.png: at most 3\.815e-06 MiB are taken'):
        receive(store, 'a.png', b'1234', b'5', most=4)
    assert list(store.folder.iterdir()) == []


def test_a_browser_that_goes_away_leaves_nothing(store):
    async def broken():
        yield b'one'
        raise ConnectionError

    with pytest.raises(ConnectionError):
        asyncio.run(store.receive('a.png', broken(), 10))
    assert list(store.folder.iterdir()) == []


def test_the_oldest_that_nobody_needs_make_room():
    used = set()
    store = Store(Limits(image_bytes=50, total_bytes=120), used.__contains__)
    first, second = (receive(store, name, b'1' * 40) for name in 'ab')
    used.add(first.id)
    third = receive(store, 'c', b'1' * 40)
    assert store.get(first.id) and store.get(third.id)
    with pytest.raises(InputError, match='no more'):
        store.get(second.id)
    used |= {third.id}
    with pytest.raises(InputError, match='no more room'):
        receive(store, 'd', b'1' * 41)
    store.close()


def test_what_is_too_old_goes():
    store = Store(Limits(seconds=0.0))
    first = receive(store, 'a', b'1')
    receive(store, 'b', b'1')
    assert not first.path.exists()
    store.close()


@pytest.mark.parametrize(
    ('name', 'cleaned'),
    [
        ('photo.png', 'photo.png'),
        ('../../etc/passwd', 'passwd'),
        ('C:\\Users\\me\\photo.jpg', 'photo.jpg'),
        ('.hidden.png', 'hidden.png'),
        ('a"b\r\n.png', 'a_b__.png'),
        ('', 'file'),
        ('..', 'file'),
        ('é日本.png', 'é日本.png'),
        ('x' * 300 + '.png', 'x' * 100 + '.png'),
    ],
)
def test_names_become_names_of_files(name, cleaned):
    assert clean_name(name) == cleaned
