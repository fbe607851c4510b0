"""Films encoded in pieces and joined."""

from pathlib import Path

import numpy as np
import pytest
from film_copies import like, packets, read, seconds

from sr_jax.errors import InputError
from sr_jax.film import segments
from sr_jax.film.encoders import EncoderSettings
from sr_jax.film.muxing import Source
from sr_jax.film.reader import open_film
from sr_jax.film.segments import SegmentWriter, join


def cut(source: Path, folder: Path, settings: EncoderSettings, ends: tuple[int, ...]) -> list[Path]:
    """Writes a film's frames as segments that end before these frames."""
    paths = []
    with open_film(source) as film:
        frames = list(film)
        for begin, end in zip((0, *ends), (*ends, len(frames)), strict=True):
            paths.append(folder / f'{begin}.npz')
            with SegmentWriter(paths[-1], like(film.info), settings) as writer:
                for frame in frames[begin:end]:
                    writer.write(frame.planes, frame.pts, frame.duration)
    return paths


@pytest.mark.parametrize(
    ('name', 'suffix', 'codec'),
    [
        ('phone', '.mp4', 'libx264'),
        ('phone', '.mkv', 'ffv1'),
        ('hdr', '.mkv', 'libx265'),
        ('broadcast', '.ts', 'libx264'),
        ('prores', '.mov', 'prores_ks'),
    ],
)
def test_segments_joined_are_the_film(name, suffix, codec, film, tmp_path):
    paths = cut(film(name), tmp_path, EncoderSettings(codec), (4,))
    output = tmp_path / f'joined{suffix}'
    before, frames = read(film(name))
    join(paths[::-1], output, Source(before))
    after, joined = read(output)
    near = after.video.time_base / 2 if suffix == '.mkv' else 0
    times = zip(seconds(frames), seconds(joined), strict=True)
    assert max(abs(old - new) for old, new in times) <= near
    assert packets(film(name)) == packets(output)
    assert [frame.key for frame in joined][4]
    if codec == 'ffv1':
        for frame, again in zip(frames, joined, strict=True):
            assert all(map(np.array_equal, frame.planes, again.planes))
    assert (after.video.color.matrix, after.video.mastering) == (
        before.video.color.matrix,
        before.video.mastering,
    )
    assert set(tmp_path.iterdir()) == {*paths, output}


def test_a_segment_encoded_again_is_the_same(film, tmp_path):
    settings = EncoderSettings('libx264')
    paths = cut(film('phone'), tmp_path, settings, (5,))
    before = [dict(np.load(path)) for path in paths]
    cut(film('phone'), tmp_path, settings, (5,))
    for path, arrays in zip(paths, before, strict=True):
        again = dict(np.load(path))
        assert {name: array.tolist() for name, array in again.items()} == {
            name: array.tolist() for name, array in arrays.items()
        }


def test_what_an_encoder_was_told_is_read_again(film, tmp_path):
    with open_film(film('hdr')) as opened:
        video = like(opened.info, matrix=tuple(range(9)), metadata={'language': 'deu'})
        settings = EncoderSettings('libx264', 21.5, 'fast', {'tune': 'film'})
        assert segments._from_json(segments._to_json(video, settings)) == (video, settings)


def test_segments_that_do_not_go_together_are_named(film, tmp_path):
    paths = cut(film('odd'), tmp_path, EncoderSettings('ffv1'), (2,))
    (tmp_path / 'other').mkdir()
    others = cut(film('odd'), tmp_path / 'other', EncoderSettings('ffv1', preset='1'), (3,))
    output = tmp_path / 'joined.mkv'
    with pytest.raises(InputError, match='was encoded otherwise'):
        join([paths[0], others[1]], output)
    with pytest.raises(InputError, match='hold the same moment'):
        join([*paths, paths[1]], output)
    with pytest.raises(InputError, match='no segments'):
        join([], output)
    damaged = paths[1].read_bytes()
    paths[1].write_bytes(damaged[: len(damaged) // 2])
    with pytest.raises(InputError, match=r'2\.npz is no whole segment'):
        join(paths, output)
    assert not output.exists()


def test_an_empty_or_broken_segment_leaves_no_file(film, tmp_path):
    path = tmp_path / 'a.npz'
    with open_film(film('odd')) as opened:
        video = like(opened.info)
        frame = next(iter(opened))
    empty = SegmentWriter(path, video, EncoderSettings('ffv1'))
    with pytest.raises(InputError, match='needs a frame'):
        empty.close()
    broken = SegmentWriter(path, video, EncoderSettings('ffv1'))
    with pytest.raises(RuntimeError), broken as writer:
        writer.write(frame.planes, frame.pts, frame.duration)
        raise RuntimeError
    assert not list(tmp_path.iterdir())
