"""What must hold of every example: bounded memory, nothing started, nothing written elsewhere."""

import contextlib
import os
import pathlib
import sys
import threading
from collections.abc import Iterator

import jax

PEAK = pathlib.Path('/proc/self/status')
RESET = pathlib.Path('/proc/self/clear_refs')
STARTING = ('os.system', 'os.exec', 'os.posix_spawn', 'os.fork', 'subprocess.Popen')
REACHING = ('socket.connect', 'ctypes.dlopen', 'webbrowser.open')
# Audit events that change files: where in their arguments a path is, and the open folder, if any,
# that it is relative to.
CHANGING = {
    **{'os.remove': ((0, 1),), 'os.rmdir': ((0, 1),), 'shutil.rmtree': ((0, 1),)},
    **{'os.mkdir': ((0, 2),), 'os.chmod': ((0, 2),), 'os.truncate': ((0, None),)},
    **{'os.rename': ((0, 2), (1, 3)), 'os.link': ((0, 2), (1, 3))},
    'os.symlink': ((0, None), (1, 2)),
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_active: dict[str, object] = {}  # while an example runs: its folders, thread and what it did wrong
_hooked = False


def _notice(event: str, arguments: tuple) -> None:
    if not _active or _active['thread'] != threading.get_ident():
        return
    if event in STARTING or event in REACHING:
        _active['wrong'].append(f'{event} {arguments}')
    elif event == 'open' and isinstance(arguments[2], int) and arguments[2] & WRITING:
        _outside(event, arguments[0])
    elif event in CHANGING:
        for place, base in CHANGING[event]:
            _outside(event, arguments[place], None if base is None else arguments[base])


def _outside(event: str, path: object, base: int | None = None) -> None:
    if isinstance(path, int) or path is None:
        return
    at = os.getcwd() if base is None or base < 0 else os.readlink(f'/proc/self/fd/{base}')
    folder, name = os.path.split(os.path.abspath(os.path.join(at, os.fsdecode(path))))
    real = os.path.join(os.path.realpath(folder), name)
    if event == 'open':  # the others change the link, not what it leads to
        real = os.path.realpath(real)
    if real != os.devnull and not real.startswith(_active['allowed']):
        _active['wrong'].append(f'{event} {path!r}')


@contextlib.contextmanager
def watched(folder: pathlib.Path, memory: int) -> Iterator[None]:
    """Fails when what runs in it starts a process, writes outside of `folder`, or takes more than
    `memory` bytes beyond what was taken before. (The memory is measured on Linux.)
    """
    global _hooked
    if not _hooked:
        sys.addaudithook(_notice)  # for good: a hook cannot be taken off
        _hooked = True
    wrong: list[str] = []
    before = _reset_peak()
    # JAX writes to the first one that it had, though other tests may have set another since.
    kept = (jax.config.jax_compilation_cache_dir, os.environ.get('JAX_COMPILATION_CACHE_DIR'))
    allowed = tuple(os.path.realpath(path) for path in (folder, *kept) if path)
    _active.update(allowed=allowed, thread=threading.get_ident(), wrong=wrong)
    try:
        yield
    finally:
        _active.clear()
    assert not wrong, wrong
    taken = _status('VmHWM') - before
    assert taken <= memory, f'{taken / 2**20:.0f} MiB were taken, {memory / 2**20:.0f} allowed'


def _reset_peak() -> int:
    """Makes the peak of the memory begin anew; returns what is taken now."""
    if RESET.exists():
        RESET.write_text('5')
    return _status('VmRSS')


def _status(key: str) -> int:
    if not PEAK.exists():
        return 0
    line = next(x for x in PEAK.read_text().splitlines() if x.startswith(key))
    return int(line.split()[1]) * 1024
