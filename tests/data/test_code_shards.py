import numpy as np
import pytest

from sr_jax.data.code_shards import Description, is_whole, write_shard
from sr_jax.data.sources.codes import Codes
from sr_jax.errors import InputError
from sr_jax.images.decoding import ImageError

CODES = {'top': 11, 'bottom': 7}
AGAIN = 'run the same sr-jax extract-codes again, which makes what is missing or damaged'


def describe(count):
    return Description('a', CODES, 24, False, 'photos', 0, {'train': count})


def write(folder, sizes):
    rng = np.random.default_rng(2)
    for number, size in enumerate(sizes):
        examples = [
            {'top': rng.integers(0, 11, (3, 3)), 'bottom': rng.integers(0, 7, (6, 6))}
            for _ in range(size)
        ]
        write_shard(folder / f'train-{number:05d}.array_record', examples)


def damage(file):
    middle = bytearray(file.read_bytes())
    middle[64:] = bytes(64) + middle[128:]
    file.write_bytes(middle)


def test_a_shard_is_whole_that_has_all_its_codes(tmp_path):
    write(tmp_path, [5])
    file = tmp_path / 'train-00000.array_record'
    assert is_whole(file, 5, describe(5))
    assert not is_whole(file, 4, describe(5))
    assert not is_whole(file, 5, describe(5)._replace(code_sizes={'top': 3, 'bottom': 7}))
    assert not is_whole(file, 5, describe(5)._replace(crop_size=16))
    assert not is_whole(tmp_path / 'none', 5, describe(5))
    whole = file.read_bytes()
    for position in (70, 300):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        assert not is_whole(file, 5, describe(5))
    file.write_bytes(whole[:200])
    assert not is_whole(file, 5, describe(5))


def test_shards_are_read_one_after_the_other(tmp_path):
    write(tmp_path, [5, 5, 3])
    codes = Codes(tmp_path, 'train', describe(13))
    assert len(codes) == 13 and codes.example(12)['bottom'].shape == (6, 6)


@pytest.mark.parametrize('number', [0, 1, 2])
def test_the_shard_that_is_missing_or_damaged_is_named(tmp_path, number):
    write(tmp_path, [5, 5, 3])
    file = tmp_path / f'train-{number:05d}.array_record'
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(InputError, match=rf'{file.name}: damaged .*{AGAIN}'):
        Codes(tmp_path, 'train', describe(13))
    file.unlink()
    with pytest.raises(InputError, match=rf'{file.name} is missing: {AGAIN}'):
        Codes(tmp_path, 'train', describe(13))


def test_damage_within_a_shard_is_named_with_the_example(tmp_path):
    write(tmp_path, [5, 3])
    file = tmp_path / 'train-00001.array_record'
    whole = file.read_bytes()
    file.write_bytes(whole[:300] + bytes([whole[300] ^ 4]) + whole[301:])
    codes = Codes(tmp_path, 'train', describe(8))
    broken = []
    for index in range(8):
        try:
            codes.example(index)
        except ImageError as error:
            broken.append(index)
            assert f'{file.name}: damaged' in str(error) and AGAIN in str(error)
    assert broken and min(broken) >= 5
