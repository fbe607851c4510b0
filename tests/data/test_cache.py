import pickle
import threading
from types import MappingProxyType

import numpy as np

from sr_jax.data.cache import ExampleCache
from sr_jax.data.fields import IMAGE


class Counting:
    """A source of images of 12 bytes each that counts how often each one was read."""

    def __init__(self):
        self.reads = [0] * 10

    fields = MappingProxyType({'hq': IMAGE})

    def __len__(self):
        return len(self.reads)

    def name(self, index):
        return f'image {index}'

    def example(self, index):
        self.reads[index] += 1
        return {'hq': np.full((2, 2, 3), index, np.uint8)}


def test_an_image_that_fits_is_read_once():
    cache = ExampleCache(Counting(), 24)
    for _ in range(3):
        assert (cache.example(1)['hq'] == 1).all()
        assert (cache.example(2)['hq'] == 2).all()
    assert cache.source.reads[1:3] == [1, 1]


def test_the_image_unused_for_longest_is_dropped_first():
    cache = ExampleCache(Counting(), 24)
    for index in (0, 1, 0, 2, 0, 1):  # 2 takes the place of 1
        cache.example(index)
    assert cache.source.reads[:3] == [1, 2, 1]


def test_nothing_is_kept_without_room():
    cache = ExampleCache(Counting(), 11)
    cache.example(0)
    cache.example(0)
    assert cache.source.reads[0] == 2


def test_it_is_a_source_like_the_one_it_keeps():
    cache = ExampleCache(Counting(), 100)
    assert len(cache) == 10
    assert cache.name(3) == 'image 3'
    assert cache.fields == {'hq': IMAGE}
    assert cache.example(5)['hq'].dtype == np.uint8


def test_a_pickled_copy_starts_empty_and_works():
    cache = ExampleCache(Counting(), 2**20)
    empty = len(pickle.dumps(cache))
    for index in range(10):
        cache.example(index)
    sent = pickle.dumps(cache)
    assert len(sent) == empty
    copy = pickle.loads(sent)
    copy.example(4)
    copy.example(4)
    assert copy.source.reads[4] == cache.source.reads[4] + 1


def test_threads_share_it_within_its_limit():
    cache = ExampleCache(Counting(), 36)
    wrong = []

    def read(seed):
        for index in np.random.default_rng(seed).integers(10, size=300):
            if not (cache.example(int(index))['hq'] == index).all():
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(cache.source.reads) < 1200  # some were kept
    assert sum(example['hq'].nbytes for example in cache._kept.values()) == cache._bytes <= 36
