import itertools
import json
import multiprocessing
import os
import signal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sr_jax.data import train_iterator, validation_batches, validation_crops
from sr_jax.data.validation import _spaced_tiles
from sr_jax.errors import InputError


@pytest.fixture
def read(make_settings):
    """Returns a function that gives the next batches of a new iterator, and closes it."""

    def read(count, batch_size=4, seed=0, state=None, **changes):
        report = []
        iterator = train_iterator(make_settings(**changes), batch_size, seed, report.append)
        if state is not None:
            iterator.set_state(state)
        try:
            return [next(iterator)['hq'] for _ in range(count)], iterator.get_state(), report
        finally:
            iterator.close()

    return read


def numbers(batches):
    """Which images of `make_folder` the crops come from."""
    return np.rint(np.concatenate(batches)[:, 0, 0, 0] * 255).astype(int)


def test_a_batch_is_float32_between_0_and_1(make_settings):
    iterator = train_iterator(make_settings(crop_size=16), 5, 0)
    batch = next(iterator)
    iterator.close()
    assert list(batch) == ['hq']
    assert type(batch['hq']) is np.ndarray
    assert batch['hq'].dtype == np.float32
    assert batch['hq'].shape == (5, 16, 16, 3)
    assert 0 <= batch['hq'].min() < batch['hq'].max() <= 1


def test_the_seed_decides_the_batches(read):
    first, _, _ = read(3, seed=1)
    again, _, _ = read(3, seed=1)
    other, _, _ = read(3, seed=2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_batch_size_does_not_change_the_crops(read):
    by_two, _, _ = read(6, batch_size=2)
    by_three, _, _ = read(4, batch_size=3)
    np.testing.assert_array_equal(np.concatenate(by_two), np.concatenate(by_three))


def test_every_image_comes_equally_often_in_ever_new_order(read, make_folder):
    folder = make_folder(64)
    batches, _, _ = read(2, batch_size=4096, source=f'folder:{folder}', crop_size=1)
    first, second = numbers(batches[:1]), numbers(batches[1:2])
    train = np.unique(first)
    assert 40 < len(train) < 64
    _, counts = np.unique(numbers(batches), return_counts=True)
    assert counts.max() - counts.min() <= 4096 // len(train)
    assert not np.array_equal(first, second)


def test_one_image_is_enough(read, make_folder):
    folder = make_folder(1)
    batches, _, _ = read(2, source=f'folder:{folder}', validation_source='photos')
    assert (numbers(batches) == 0).all()


def test_worker_processes_give_the_same_batches_and_reports(read, make_folder):
    folder = make_folder(8)
    (folder / '003.png').write_bytes(b'broken')
    changes = {'source': f'folder:{folder}', 'validation_source': 'photos'}
    threads, threads_state, threads_report = read(7, **changes)
    processes, processes_state, processes_report = read(7, workers=2, **changes)
    np.testing.assert_array_equal(threads, processes)
    assert threads_state == processes_state
    assert threads_report == processes_report
    assert len(threads_report) == 1
    assert '003.png' in threads_report[0]


def test_ctrl_c_does_not_take_the_workers_away(make_settings, read):
    whole, _, _ = read(8)
    iterator = train_iterator(make_settings(workers=1), 4, 0)
    batches = [next(iterator)['hq']]
    (worker,) = multiprocessing.active_children()
    os.kill(worker.pid, signal.SIGINT)
    batches += [next(iterator)['hq'] for _ in range(7)]
    assert worker.is_alive()
    iterator.close()
    assert not worker.is_alive()
    np.testing.assert_array_equal(whole, batches)


def test_a_worker_that_is_killed_is_told_with_what_to_do(make_settings):
    iterator = train_iterator(make_settings(workers=1), 3, 0)
    next(iterator)
    with pytest.raises(InputError, match='config.data.workers=1 need less'):
        for _ in range(20):
            for child in multiprocessing.active_children():
                child.kill()
            next(iterator)
    iterator.close()


@pytest.mark.parametrize('batch_size', [1, 2])
def test_rows_of_one(make_settings, batch_size):
    """A process may make a single row of a batch, and a batch may be one."""
    iterator = train_iterator(make_settings(), batch_size, 0, rows=slice(0, 1))
    assert len(next(iterator)['hq']) == 1
    iterator.close()


@pytest.mark.parametrize('workers', [(0, 0), (2, 0)])
def test_a_restored_iterator_resumes_as_if_unbroken(read, workers):
    whole, _, _ = read(6)
    _, state, _ = read(2, workers=workers[0])
    rest, _, report = read(4, state=json.loads(json.dumps(state)), workers=workers[1])
    np.testing.assert_array_equal(whole[2:], rest)
    assert report == []


def test_the_state_does_not_count_what_was_read_ahead(make_settings):
    iterator = train_iterator(make_settings(), 4, 0)
    assert iterator.get_state()['crops_taken'] == 0
    state = iterator.get_state()
    first = next(iterator)['hq']
    assert iterator.get_state()['crops_taken'] == 4
    next(iterator)
    iterator.set_state(state)
    np.testing.assert_array_equal(first, next(iterator)['hq'])
    iterator.close()


def test_it_can_be_used_again_after_closing(make_settings, read):
    whole, _, _ = read(3)
    iterator = train_iterator(make_settings(), 4, 0)
    iterator.close()
    next(iterator)
    iterator.close()
    iterator.close()
    np.testing.assert_array_equal(whole[1], next(iterator)['hq'])
    iterator.close()


def test_a_source_changed_since_the_checkpoint_is_reported(read, make_folder):
    folder = make_folder(5)
    changes = {'source': f'folder:{folder}', 'validation_source': 'photos'}
    _, state, _ = read(1, **changes)
    Image.new('RGB', (16, 12)).save(folder / 'new.png')
    _, _, report = read(1, state=state, seed=3, **changes)
    assert ['images was 5' in line for line in report] == [True, False]
    assert ['seed was 0' in line for line in report] == [False, True]


def test_a_broken_and_a_small_image_are_replaced_and_told_once(read, make_folder):
    folder = make_folder(6)
    (folder / '001.png').write_bytes((folder / '000.png').read_bytes()[:45])
    Image.new('RGB', (7, 40)).save(folder / '004.png')
    batches, state, report = read(
        20, source=f'folder:{folder}', validation_source='photos', max_rejected=2
    )
    assert set(numbers(batches)) == {0, 2, 3, 5}
    assert sorted(line.split(':')[0] for line in report) == [
        f'skipped image {folder / "001.png"}',
        f'skipped image {folder / "004.png"}',
    ]
    assert set(state['rejected']) == {str(folder / '001.png'), str(folder / '004.png')}
    assert state['rejected'][str(folder / '004.png')].startswith('7x40 pixels, smaller')


def test_rejected_images_stay_counted_after_restoring(read, make_folder):
    folder = make_folder(6)
    (folder / '001.png').write_bytes(b'broken')
    changes = {'source': f'folder:{folder}', 'validation_source': 'photos', 'max_rejected': 1}
    _, state, first = read(10, **changes)
    _, _, second = read(10, state=state, **changes)
    assert (len(first), len(second)) == (1, 0)
    (folder / '004.png').write_bytes(b'broken')
    with pytest.raises(InputError, match=r'2 images cannot be used') as caught:
        read(10, state=state, **changes)
    assert '001.png' in str(caught.value)
    assert '004.png' in str(caught.value)


def test_rejected_images_that_are_gone_or_mended_are_forgotten_after_restoring(read, make_folder):
    folder, other = make_folder(5), make_folder(7, name='others')
    (folder / '001.png').write_bytes(b'broken')
    Image.new('RGB', (11, 7)).save(folder / '003.png')
    changes = {'validation_source': 'photos'}
    source = f'folder:{folder}'
    _, state, _ = read(10, source=source, max_rejected=2, **changes)
    assert set(state['rejected']) == {str(folder / '001.png'), str(folder / '003.png')}
    line = 'of the 2 images skipped before are usable now or no longer in the data'
    _, after, report = read(3, source=f'folder:{other}', max_rejected=0, state=state, **changes)
    assert after['rejected'] == {}
    assert any(f'2 {line}' in told for told in report)
    _, after, report = read(3, source=source, max_rejected=1, crop_size=7, state=state, **changes)
    assert set(after['rejected']) == {str(folder / '001.png')}
    assert any(f'1 {line}' in told for told in report)
    (folder / '001.png').write_bytes((folder / '002.png').read_bytes())
    (folder / '003.png').unlink()
    assert read(3, source=source, max_rejected=0, state=state, **changes)[1]['rejected'] == {}


@pytest.mark.parametrize('workers', [0, 2])
def test_too_many_rejected_images_stop_it_with_the_list(read, make_folder, workers):
    folder = make_folder(9)
    for number in (1, 4, 7):
        (folder / f'00{number}.png').write_bytes(b'broken')
    with pytest.raises(InputError, match=r'3 images .*max_rejected=2') as caught:
        read(
            60,
            source=f'folder:{folder}',
            validation_source='photos',
            max_rejected=2,
            workers=workers,
        )
    for number in (1, 4, 7):
        assert f'00{number}.png' in str(caught.value)


def test_no_usable_image_stops_it(read, make_folder):
    folder = make_folder(3)
    with pytest.raises(InputError, match='none of the images can be used'):
        read(
            1,
            source=f'folder:{folder}',
            validation_source='photos',
            crop_size=13,
            max_rejected=100,
        )


@pytest.mark.parametrize(('batch_size', 'seed'), [(0, 0), (1, -1), (1, 2**32)])
def test_numbers_out_of_range_are_errors(make_settings, batch_size, seed):
    with pytest.raises(InputError, match=str(seed or batch_size)):
        train_iterator(make_settings(), batch_size, seed)


# Validation


def test_validation_tiles_are_the_same_every_time_and_of_every_image(make_settings):
    first, second = (np.stack(list(validation_crops(make_settings()))) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (64, 8, 8, 3)
    assert first.dtype == np.float32


def test_all_tiles_are_taken_where_there_are_few(make_settings, make_folder):
    folder = make_folder(3, size=(16, 24))
    settings = make_settings(
        source='photos', validation_source=f'folder:{folder}', validation_crops=100
    )
    crops = np.stack(list(validation_crops(settings)))
    assert len(crops) == 3 * 6
    np.testing.assert_array_equal(numbers([crops]), np.repeat([0, 1, 2], 6))


def test_more_images_than_crops_give_one_each(make_settings, make_folder):
    settings = make_settings(validation_source=f'folder:{make_folder(12)}', validation_crops=4)
    crops = np.stack(list(validation_crops(settings)))
    np.testing.assert_array_equal(numbers([crops]), [2, 5, 8, 11])


@settings(max_examples=200)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.integers(1, 12),
    share=st.integers(1, 50),
)
def test_tiles_lie_inside_and_do_not_overlap(height, width, size, share):
    tiles = _spaced_tiles((height, width, 3), size, share)
    assert len(tiles) == min(share, (height // size) * (width // size))
    covered = np.zeros((height, width), int)
    for top, left in tiles:
        assert top >= 0
        assert left >= 0
        assert top + size <= height
        assert left + size <= width
        covered[top : top + size, left : left + size] += 1
    assert covered.max(initial=0) <= 1


def test_the_last_validation_batch_is_padded_and_masked(make_settings, make_folder):
    settings = make_settings(validation_source=f'folder:{make_folder(5)}', validation_crops=5)
    batches = list(validation_batches(settings, 3))
    assert [batch['mask'].tolist() for batch in batches] == [[1, 1, 1], [1, 1, 0]]
    assert all(batch['mask'].dtype == np.float32 for batch in batches)
    assert all(batch['hq'].shape == (3, 8, 8, 3) for batch in batches)
    assert not batches[1]['hq'][2].any()
    kept = np.concatenate([batch['hq'][batch['mask'] > 0] for batch in batches])
    np.testing.assert_array_equal(kept, np.stack(list(validation_crops(settings))))


def test_full_validation_batches_are_not_written_to_again(make_settings, make_folder):
    settings = make_settings(validation_source=f'folder:{make_folder(4)}', validation_crops=4)
    batches = validation_batches(settings, 2)
    first = next(batches)['hq'].copy()
    assert not np.array_equal(first, next(batches)['hq'])
    all_at_once = [batch['hq'] for batch in validation_batches(settings, 2)]
    np.testing.assert_array_equal(first, all_at_once[0])


def test_a_broken_validation_image_is_reported(make_settings, make_folder):
    folder = make_folder(4)
    (folder / '002.png').write_bytes(b'broken')
    settings = make_settings(validation_source=f'folder:{folder}')
    lines = []
    crops = np.stack(list(validation_crops(settings, lines.append)))
    assert set(numbers([crops])) == {0, 1, 3}
    assert len(lines) == 1
    assert '002.png' in lines[0]
    with pytest.raises(InputError, match='max_rejected=0'):
        list(validation_crops(make_settings(**{**vars(settings), 'max_rejected': 0}), lines.append))


def test_validation_without_a_tile_is_an_error(make_settings, make_folder):
    settings = make_settings(validation_source=f'folder:{make_folder(2)}', crop_size=13)
    with pytest.raises(InputError, match='none of the images can be used'):
        list(validation_crops(settings, lambda line: None))


def test_a_validation_batch_of_nothing_is_never_given(make_settings, make_folder):
    settings = make_settings(validation_source=f'folder:{make_folder(4)}', validation_crops=4)
    assert len(list(itertools.islice(validation_batches(settings, 2), 9))) == 2


def test_processes_make_a_batch_together_and_any_number_resumes(make_settings):
    settings = make_settings()
    whole = train_iterator(settings, 6, seed=3)
    parts = [train_iterator(settings, 6, seed=3, rows=slice(n, n + 2)) for n in (0, 2, 4)]
    for _ in range(3):
        expected = next(whole)['hq']
        np.testing.assert_array_equal(np.concatenate([next(p)['hq'] for p in parts]), expected)
    states = [part.get_state() for part in parts]
    assert states == [whole.get_state()] * 3
    alone = train_iterator(settings, 6, seed=3)
    alone.set_state(states[1])
    np.testing.assert_array_equal(next(alone)['hq'], next(whole)['hq'])
    for iterator in (whole, alone, *parts):
        iterator.close()
