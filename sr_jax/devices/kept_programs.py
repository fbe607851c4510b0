"""Compiled programs that are kept between commands, so that the next one need not compile them.

JAX keeps them (its persistent compilation cache), and finds them again by what they compute and how
they were compiled. Here is said where, for which machine, and how many.
"""

import atexit
import hashlib
import os
import platform
import sys
from pathlib import Path

import jax

FOLDER = 'SR_JAX_CACHE'  # the environment variable; by default a folder of the user's cache
MAX_BYTES = 2**30
MIN_SECONDS = 0.1  # that compiling took; less is not kept
# Set for a process that works in a folder of the user's own already.
OF_JAX = 'JAX_COMPILATION_CACHE_DIR'


def keep_programs() -> None:
    """Lets JAX keep what it compiles from now on, unless a folder of its own is set for that.

    Programs hold machine code: each kind of machine, and each release of JAX, has its own folder.
    At the end of the process those that were used longest ago are removed, of all machines.
    """
    if os.environ.get(OF_JAX):
        return
    folder = find_folder()
    own = folder / describe_machine()
    try:
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        print(f'compiled programs are not kept: {own}: {error.strerror}', file=sys.stderr)
        return
    jax.config.update('jax_compilation_cache_dir', str(own))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', MIN_SECONDS)
    atexit.register(forget_old_programs, folder)


def find_folder() -> Path:
    """Returns the folder of compiled programs: SR_JAX_CACHE, or one of the user's cache."""
    if own := os.environ.get(FOLDER):
        return Path(own).expanduser()
    cache = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    return Path(cache).expanduser() / 'sr_jax' / 'programs'


def describe_machine() -> str:
    """Returns a name for machines that can run each other's programs of this JAX."""
    try:
        text = Path('/proc/cpuinfo').read_text()
    except OSError:  # no Linux
        text = platform.processor()
    kept = ('vendor_id', 'cpu family', 'model\t', 'flags', 'CPU implementer', 'CPU part')
    processor = sorted({line for line in text.splitlines() if line.startswith(kept)} or {text})
    made_of = [jax.__version__, jax.lib.__version__, platform.machine(), *processor]
    return f'jax-{jax.__version__}-{hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]}'


def forget_old_programs(folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Removes the programs that were used longest ago, until the others take `max_bytes`; and empty
    files, which a full disk leaves. (JAX's own bound needs another package, and lists the folder
    at every program.)
    """
    found = []
    for path in folder.rglob('*'):
        try:
            stat = path.stat()
        except OSError:  # another process has removed it
            continue
        if path.is_dir():
            continue
        found.append((max(stat.st_atime, stat.st_mtime), stat.st_size, path))
    total = 0
    for _, size, path in sorted(found, reverse=True):
        total += size
        if total > max_bytes or not size:
            path.unlink(missing_ok=True)
