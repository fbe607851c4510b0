import errno
import io
import logging
import os
import sys
from pathlib import Path

import jax
import pytest

from sr_jax.errors import (
    InputError,
    TrainingError,
    check_utf8,
    exit_status,
    message_of,
    name_file,
)


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ('error', 'message'),
    [
        (InputError('no such thing'), 'error: no such thing\n'),
        (TrainingError('step 3'), 'error: step 3\n'),
        (
            OSError(errno.ENOSPC, 'No space left on device', '/a/file'),
            'error: /a/file: the disk is full; free some space or take another folder '
            '(--workdir, --output)\n',
        ),
        (OSError(errno.EIO, 'Input/output error', '/a'), 'error: /a: Input/output error\n'),
    ],
)
def test_an_expected_error_is_one_message(error, message, capsys):
    assert exit_status(raising(error)) == 1
    assert capsys.readouterr().err == message


def test_a_full_disk_under_an_open_file_names_the_file():
    with pytest.raises(OSError, match='/dev/full') as raised:  # noqa: SIM117
        with name_file('/dev/full'), Path('/dev/full').open('a') as file:
            file.write('x')
    assert str(message_of(raised.value)).startswith('/dev/full: the disk is full; free some space')


def test_too_little_memory_names_the_remedy(capsys):
    error = jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.')
    assert exit_status(raising(error)) == 1
    shown = capsys.readouterr().err
    assert 'config.train.effective_batch_size' in shown
    assert 'config.evaluation.batch_size' in shown
    assert 'Out of memory allocating 9 bytes' in shown


@pytest.mark.parametrize('error', [KeyError('x'), jax.errors.JaxRuntimeError('INTERNAL: x')])
def test_a_defect_keeps_its_traceback(error):
    with pytest.raises(type(error)):
        exit_status(raising(error))


def test_names_of_any_bytes_can_be_told(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(written, 'utf-8', 'strict'))

    def tell():
        print(os.fsdecode(b'a\xff.png'))
        return 0

    assert exit_status(tell) == 0
    sys.stdout.flush()
    assert written.getvalue() == b'a\\udcff.png\n'


def test_a_place_with_no_name_in_utf_8_is_refused():
    check_utf8(Path('runs/\u00e4'), '--workdir')
    message = r"'runs/\\udcff' is no name in UTF-8, .* another --workdir"
    with pytest.raises(InputError, match=message):
        check_utf8(Path(os.fsdecode(b'runs/\xff')), '--workdir')


def test_the_status_of_the_command_comes_back():
    assert exit_status(lambda: 143) == 143


@pytest.mark.parametrize('name', ['absl', 'jax2onnx.plugins.plugin_system', 'onnx_ir.serde'])
def test_the_log_of_libraries_is_silent(name, caplog):
    assert exit_status(lambda: logging.getLogger(name).warning('much') or 0) == 0
    assert not caplog.records


@pytest.mark.parametrize(
    ('number', 'message'),
    [(errno.EEXIST, 'x/y: a file stands in its way; remove it'), (errno.EISDIR, 'x/y: a folder')],
)
def test_what_stands_in_the_way_is_said(number, message):
    assert message_of(OSError(number, 'any words', 'x/y')).startswith(message)
