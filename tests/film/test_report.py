"""What a film is, in words and as JSON."""

import argparse
import json
from fractions import Fraction

import pytest

from sr_jax.commands import film_report
from sr_jax.film.report import examine, lines


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('mpeg2_pal', 'pixels of 16/15, shown 53 wide'),
        ('mpeg2_pal', 'fields: top first; the stream says top first, flags: top first 7'),
        ('liar', 'bottom first 12; the flags are wrong, what is seen is taken'),
        ('telecined', 'fields: telecined'),
        ('soft_telecined', '12 frames, 25.000 a second (25), variable: 33.4 to 50.0 ms a frame'),
        ('phone', 'turned: 90 degrees to the right'),
        ('phone', '9 frames, 24.658 a second (1800/73), variable: 1.7 to 73.3 ms a frame'),
        ('phone', 'no matrix is said, players take BT.601 for 22 lines'),
        ('hdr', 'matrix bt2020nc, range limited, primaries bt2020, transfer smpte2084'),
        ('hdr', 'mastered at 0.005 to 1000 cd/m2; at most 1000 cd/m2, a frame 400'),
        ('hdr', '5 frames, 24.000 a second (24), constant'),
        ('avi', 'it does not say when frames are shown: taken from the order of decoding'),
        ('broadcast', 'the first at 1.400 s'),
        ('disc', "stream 1: audio flac, deu, 'Ton'"),
        ('disc', '2 chapters'),
        ('prores', 'YUV, chroma 1/2 by 1/1, 10 bits'),
        ('vp9_alpha', '8 bits, alpha'),
        ('dv_pal', '5 frames, 25.000 a second (25), constant'),
        ('dv_ntsc', 'players take BT.601 for 480 lines'),
    ],
)
def test_the_report_says_what_matters(name, words, film):
    assert words in '\n'.join(lines(examine(film(name))))


def test_the_verb_prints_both_forms(film, capsys):
    paths = [film('phone'), film('odd')]
    assert film_report.run(argparse.Namespace(films=paths, json=False)) == 0
    printed = capsys.readouterr().out
    assert f'{paths[0]}: mov' in printed and '\n  times: 9 frames' in printed
    assert film_report.run(argparse.Namespace(films=paths, json=True)) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert Fraction(found[0]['info']['video']['time_base']) == Fraction(1, 600)
    assert found[0]['times']['constant'] is False
    assert found[1]['survey']['verdict'] == 'progressive'
    assert found[1]['info']['video']['pixels']['depth'] == 8
