import json

import pytest

from sr_jax.commands.shared import table
from sr_jax.commands.shared.table import Table, check_place, write_json
from sr_jax.errors import InputError


def test_numbers_stand_under_their_headings(capsys):
    table = Table(['a.png', 'a/' * 30 + 'long.png'], ['psnr_rgb_crop4', 'lpips_alex'])
    table.heading()
    table.row('a.png', {'psnr_rgb_crop4': 31.23456, 'lpips_alex': 0.123456, 'other': 1.0})
    table.row('a/' * 30 + 'long.png', {'psnr_rgb_crop4': float('inf'), 'lpips_alex': 0.0})
    heading, *rows = capsys.readouterr().out.splitlines()
    assert [row.split()[1:] for row in rows] == [['31.235', '0.1235'], ['inf', '0.0000']]
    assert {len(heading)} == {len(row) for row in rows}
    assert rows[1].startswith('...')
    assert rows[1].split()[0].endswith('/a/long.png')


def test_numbers_that_are_not_finite_are_text_in_json(tmp_path):
    record = {'rows': [{'psnr': float('inf'), 'ssim': 1.0}], 'name': 'x', 'scale': None}
    write_json(tmp_path / 'x.json', record)
    found = json.loads((tmp_path / 'x.json').read_text(), parse_constant=pytest.fail)
    assert found == {'rows': [{'psnr': 'inf', 'ssim': 1.0}], 'name': 'x', 'scale': None}
    assert float(found['rows'][0]['psnr']) == float('inf')


def test_a_file_that_could_not_be_written_is_refused_before(tmp_path):
    check_place(None)
    check_place(tmp_path / 'x.json')
    with pytest.raises(InputError, match='is a folder'):
        check_place(tmp_path)
    with pytest.raises(InputError, match='there is no folder'):
        check_place(tmp_path / 'missing' / 'x.json')


def test_nor_is_one_that_may_not_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(table.os, 'access', lambda place, mode: place != tmp_path)
    with pytest.raises(InputError, match='cannot be written: name a file in a folder of your own'):
        check_place(tmp_path / 'x.json')
