"""A film read and written again: times, planes, tags, and all that is copied."""

import numpy as np
import pytest
from film_copies import copy, packets, read, seconds

from sr_jax.film.encoders import EncoderSettings

@pytest.mark.parametrize(
    ('name', 'suffix', 'codec'),
    [
        ('mpeg2_pal', '.mkv', 'libx264'),
        ('disc', '.mkv', 'libx264'),
        ('phone', '.mp4', 'libx264'),
        ('phone', '.mkv', 'ffv1'),
        ('hdr', '.mkv', 'libx265'),
        ('prores', '.mov', 'prores_ks'),
        ('prores', '.mkv', 'ffv1'),
        ('vp9_alpha', '.mkv', 'ffv1'),
        ('vp9_alpha', '.webm', 'libvpx-vp9'),
        ('avi', '.mkv', 'libx264'),
        ('broadcast', '.mkv', 'libx264'),
        ('broadcast', '.mp4', 'libx264'),
        ('broadcast', '.ts', 'libx264'),
        ('odd', '.mkv', 'ffv1'),
    ],
)
def test_a_film_keeps_its_times_tags_and_other_streams(name, suffix, codec, film, tmp_path):
    output = tmp_path / f'copy{suffix}'
    frames = copy(film(name), output, EncoderSettings(codec))
    before, _ = read(film(name))
    after, written = read(output)
    tick = after.video.time_base
    near = tick / 2 if suffix in ('.mkv', '.webm') else 0  # Matroska counts milliseconds
    times = zip(seconds(frames), seconds(written), strict=True)
    assert max(abs(old - new) for old, new in times) <= near
    ends = [each[-1].time_base * (each[-1].pts + each[-1].duration) for each in (frames, written)]
    if suffix != '.ts':
        assert abs(ends[0] - ends[1]) <= 2 * near
    assert packets(film(name)) == packets(output)
    old, new = before.video, after.video
    assert new.pixels == old.pixels
    assert (new.aspect or 1) == (old.aspect or 1)
    assert new.matrix == old.matrix
    assert (new.mastering, new.light) == (old.mastering, old.light)
    if codec != 'libvpx-vp9':
        tagged = {k: v for k, v in old.color._asdict().items() if v != 'unspecified'}
        assert tagged.items() <= new.color._asdict().items()
    if codec == 'ffv1':
        for frame, again in zip(frames, written, strict=True):
            assert all(map(np.array_equal, frame.planes, again.planes))
