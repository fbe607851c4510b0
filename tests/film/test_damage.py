"""Damaged films end in frames or in one line, never in a traceback."""

import random

import films
import pytest
from film_copies import copy

from sr_jax.errors import InputError
from sr_jax.film.encoders import EncoderSettings
from sr_jax.film.report import examine, lines


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('name', sorted(films.FILMS))
def test_damage_is_one_line(name, seed, film, tmp_path):
    draw = random.Random(f'{name} {seed}')
    data = bytearray(film(name).read_bytes())
    for _ in range(draw.choice((1, 3, 20))):
        data[draw.randrange(len(data))] = draw.randrange(256)
    if seed % 2:
        del data[draw.randrange(1, len(data)) :]
    path = tmp_path / film(name).name
    path.write_bytes(data)
    for work in (
        lambda: '\n'.join(lines(examine(path))).encode(),
        lambda: copy(path, tmp_path / 'copy.mkv', EncoderSettings('libx264')),
    ):
        try:
            work()
        except InputError as error:
            assert '\n' not in str(error)


def test_tags_that_are_no_text_are_copied_as_far_as_they_are(film, tmp_path):
    path = tmp_path / 'odd.mkv'
    path.write_bytes(film('disc').read_bytes().replace(b'nobody', b'no\xffody'))
    copy(path, tmp_path / 'copy.mkv', EncoderSettings('libx264'))
    assert b'no?ody' in (tmp_path / 'copy.mkv').read_bytes()
