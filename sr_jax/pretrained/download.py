"""Files from the network: whole and verified, or not there at all.

What was fetched of a file before the connection broke is kept beside its place and gone on from
there. Nothing of a file is read by anybody before its SHA-256 is the one that was wanted.
"""

import fcntl
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from sr_jax.errors import InputError

OFFLINE = 'SR_JAX_OFFLINE'  # set to 1: nothing is fetched
MAX_BYTES = 4 * 2**30  # of a file whose length is not known before
PART_BYTES = 2**20  # read at a time
TRIES = 3  # of an address, each going on where the last one ended
TIMEOUT = 60.0  # seconds without a byte
HEADERS = {'User-Agent': 'sr_jax'}  # some hosts refuse urllib's own name


class FetchError(Exception):
    """Why a file could not be fetched, in a few words."""


def is_offline() -> bool:
    """Whether the user said that nothing is to be fetched."""
    return os.environ.get(OFFLINE, '0') not in ('', '0')


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def fetch_bytes(address: str, limit: int) -> bytes:
    """What lies at an address, of at most so many bytes.

    Raises:
      FetchError: it cannot be had.
    """
    try:
        with _open(address, 0) as answer:
            return answer.read(limit)
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(_say(error)) from error


def fetch_file(addresses: Sequence[str], target: Path, sha256: str, size: int | None) -> None:
    """Fetches a file from the first of several addresses that gives it.

    Processes that want the same file take turns, and only the first one fetches it.

    Args:
      addresses: where it may be had; pages that lead to a file are passed over.
      target: its place, where it appears at once.
      sha256: what it must have.
      size: its bytes; None: not known.

    Raises:
      FetchError: no address gives it; says why of each.
      InputError: its folder cannot be written.
    """
    partial = target.with_name(f'.{target.name}.part')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, 'ab') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if target.exists():  # another process fetched it meanwhile
                return
            _fetch_any(addresses, file, sha256, size or MAX_BYTES)
            os.replace(partial, target)
    except OSError as error:
        raise InputError(f'{target} cannot be written: {error.strerror or error}') from error


def _fetch_any(addresses: Sequence[str], file: IO[bytes], sha256: str, limit: int) -> None:
    problems = []
    for address in addresses:
        try:
            _fetch_one(address, file, limit)
        except FetchError as error:
            problems.append(f'{_host(address)}: {error}')
            continue
        file.flush()
        found = sha256_of(Path(file.name))
        if found == sha256.lower():
            return
        _restart(file)
        problems.append(f'{_host(address)}: another file (SHA-256 {found}, not {sha256})')
    raise FetchError('; '.join(problems) or 'no address is known')


def _fetch_one(address: str, file: IO[bytes], limit: int) -> None:
    """Adds to what is there of a file until it is whole.

    Raises:
      FetchError: it cannot be had there.
    """
    for left in reversed(range(TRIES)):
        try:
            _append(address, file, limit)
        except (OSError, http.client.HTTPException) as error:
            if left and not isinstance(error, urllib.error.HTTPError):
                continue
            raise FetchError(_say(error)) from error
        return


def _append(address: str, file: IO[bytes], limit: int) -> None:
    with _open(address, file.tell()) as answer:
        if answer.headers.get_content_type() == 'text/html':
            raise FetchError('a page for people, not a file')
        begin = _first_byte(answer)
        if begin != file.tell():  # it does not go on in the middle, or not there
            _restart(file)
            if begin:
                raise OSError('another part than the one that was asked for')
        length = answer.headers.get('Content-Length')
        end = file.tell() + int(length) if length else None
        while data := answer.read(PART_BYTES):
            if file.tell() + len(data) > limit:
                _restart(file)
                raise FetchError(f'more than the {limit} bytes that it should have')
            file.write(data)
        if end is not None and file.tell() < end:
            raise OSError('the connection ended early')


def _restart(file: IO[bytes]) -> None:
    file.seek(0)
    file.truncate()


def _open(address: str, begin: int) -> http.client.HTTPResponse:
    """Asks an address for what it has from a byte on.

    Raises:
      FetchError: it is none of the web.
    """
    if urllib.parse.urlsplit(address).scheme not in ('http', 'https'):
        raise FetchError('not an address of the web')
    headers = HEADERS | ({'Range': f'bytes={begin}-'} if begin else {})
    request = urllib.request.Request(address, headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # it is whole already
            error.close()
            return _open(address, 0)
        raise


def _first_byte(answer: http.client.HTTPResponse) -> int:
    found = re.match(r'bytes (\d+)-', answer.headers.get('Content-Range', ''))
    return int(found[1]) if answer.status == http.HTTPStatus.PARTIAL_CONTENT and found else 0


def _host(address: str) -> str:
    return urllib.parse.urlsplit(address).hostname or address


def _say(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f'HTTP {error.code} {error.reason}'
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__
