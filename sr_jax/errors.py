"""The exceptions that a person sees as a message instead of a traceback."""

import atexit
import contextlib
import errno
import gc
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator


class InputError(Exception):
    """Something that the user gave cannot be used.

    The message names the thing and the remedy in one or a few lines. The commands print it as
    `error: ...` and exit with status 1; a library user catches it as any exception.
    """


class LastingError(InputError):
    """Something that the user gave cannot be used, and the same command would end there again."""


class TrainingError(Exception):
    """Training cannot go on: a loss or a gradient is not finite. Shown as `InputError` is."""


INTERRUPTED = 130  # the exit status after Ctrl-C, as shells have it
REMEDIES = {
    errno.ENOSPC: 'the disk is full; free some space or take another folder (--workdir, --output)',
    errno.EDQUOT: 'the disk quota is used up; take another folder (--workdir, --output)',
    errno.EROFS: 'it cannot be written; take another folder (--workdir, --output)',
    errno.EACCES: 'it is not allowed; take another folder (--workdir, --output)',
    errno.EEXIST: 'a file stands in its way; remove it, or take another folder',
    errno.EISDIR: 'a folder stands in its place; remove it, or take another one',
    errno.ENOTDIR: 'a part of this path is a file; take another folder (--workdir, --output)',
}


def exit_status(command: Callable[[], int]) -> int:
    """Runs a command; an expected error becomes one message on the standard error and status 1.

    Ctrl-C is a message as well, with status 130.
    Anything else is a defect of ours and keeps its traceback. The log of Orbax, of the event loops
    in its threads and of jax2onnx, of a thousand lines for a deep network, is silent, since what
    matters of it comes as an exception.
    The process ends without a look for garbage, which takes 0.4 s after JAX has been imported.
    """
    atexit.register(gc.freeze)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == 'strict':
        sys.stdout.reconfigure(errors='backslashreplace')  # names of files may be any bytes
    for name in ('absl', 'asyncio', 'jax2onnx', 'onnx_ir'):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return command()
    except KeyboardInterrupt:
        print('\ninterrupted', file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
    print(f'error: {message}', file=sys.stderr)
    return 1


def message_of(error: BaseException) -> str | None:
    """Returns what a person is told of an expected error; None for a defect of ours."""
    if isinstance(error, InputError | TrainingError):
        return str(error)
    if isinstance(error, OSError):
        remedy = REMEDIES.get(error.errno or 0, error.strerror or str(error))
        return f'{error.filename}: {remedy}' if error.filename else remedy
    import jax  # a slow import, of which help has no need

    if isinstance(error, jax.errors.JaxRuntimeError) and 'RESOURCE_EXHAUSTED' in str(error):
        return (
            'the device has too little memory. For training set config.train.effective_batch_size '
            'to the images of an update, so that they are split to fit, or take a smaller '
            'config.data.crop_size or model, and of validation images a smaller '
            'config.evaluation.batch_size; for images take smaller ones\n'
            + str(error).splitlines()[0]
        )
    return None


@contextlib.contextmanager
def name_file(path: str | os.PathLike) -> Iterator[None]:
    """Inside, errors of a file that is open already say which: those of writing to it do not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def check_utf8(path: object, option: str) -> None:
    """Raises InputError for the name of a place that libraries written in C++ do not take."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f'{str(path)!a} is no name in UTF-8, as it has to be here: take another {option}'
        ) from error


def describe(error: Exception, name: str) -> str:
    """Returns what a person is told of an error with a file: it names the file."""
    if isinstance(error, MemoryError):
        return f'{name}: the memory does not suffice ({first_line(error)}): take a smaller image'
    message = message_of(error) or f'{type(error).__name__}: {first_line(error)}'
    return message if name in message else f'{name}: {message}'


def first_line(error: BaseException) -> str:
    """Returns the first line of what an error of a library says, of 300 letters at most."""
    return (str(error).strip() or repr(error)).splitlines()[0][:300]
