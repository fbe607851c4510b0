"""Files of weights: safetensors, PyTorch's checkpoints and ncnn's pairs, to arrays by name.

Nothing that a file says is run: PyTorch's checkpoints are pickles, which its own reader opens with
`weights_only=True`; other pickles are not opened here at all.
"""

import contextlib
import io
import json
import os
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from sr_jax.errors import InputError
from sr_jax.images import atomic
from sr_jax.pretrained import ncnn

SAFETENSORS = '.safetensors'
TORCH = ('.pth', '.pt', '.ckpt')
NCNN = ('.param', '.bin')
NESTED = ('params_ema', 'params', 'state_dict', 'model')  # under which a checkpoint keeps weights
DTYPES: dict[str, Any] = {
    **{'F64': '<f8', 'F32': '<f4', 'F16': '<f2', 'BF16': jnp.bfloat16},
    **{'I64': '<i8', 'I32': '<i4', 'I16': '<i2', 'I8': '<i1', 'U8': '<u1', 'BOOL': '?'},
}
MAX_EXPANSION = 8  # times the size of a file, of what it unpacks to
MAX_HEADER = 100_000_000  # bytes; safetensors' own limit


def read_state(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a file of weights, by their names in it.

    Reads `.safetensors`; `.pth`, `.pt` and `.ckpt` of PyTorch, where PyTorch is installed, taking
    'params_ema' before 'params' where a checkpoint holds both; `.param` or `.bin` of ncnn, of which
    the other must lie beside it. Floats of 16 bits become float32.

    Raises:
      InputError: no such file, it is damaged or of another kind, it wants to run code, or PyTorch
        is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f'no such file of weights: {path}')
    suffix = path.suffix.lower()
    if suffix == SAFETENSORS:
        return _read_safetensors(path)
    if suffix in TORCH:
        return _read_torch(path)
    if suffix in NCNN:
        return ncnn.read_state(*(path.with_suffix(part) for part in NCNN))
    raise InputError(
        f"{path}: weights are read from {', '.join((SAFETENSORS, *TORCH))} and ncnn's "
        f'{" + ".join(NCNN)}, not from {suffix or "a file without a suffix"}'
    )


def read_metadata(path: str | os.PathLike) -> dict[str, str]:
    """The texts that a `.safetensors` file holds beside its arrays; none of other files.

    Raises:
      InputError: the file is damaged.
    """
    path = Path(path)
    if path.suffix.lower() != SAFETENSORS or not path.is_file():
        return {}
    with _name_errors(path), open(path, 'rb') as file:
        (size,) = struct.unpack('<Q', file.read(8))
        if size > MAX_HEADER:
            raise ValueError('its header is too long')
        text = file.read(size)
        if len(text) < size:
            raise ValueError('it ends within its header')
        header = json.loads(text)
        return {str(key): str(value) for key, value in header.get('__metadata__', {}).items()}


def write_state(
    path: str | os.PathLike, state: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Writes arrays and texts as a `.safetensors` file, which appears at once and whole.

    Raises:
      InputError: another suffix, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != SAFETENSORS:
        raise InputError(f'{path}: weights are written as {SAFETENSORS}, not {path.suffix!r}')
    arrays = {name: np.asarray(value, order='C') for name, value in state.items()}
    atomic.write(path, safetensors.numpy.save(arrays, dict(metadata)))


def write_original(path: str | os.PathLike, state: Mapping[str, np.ndarray]) -> None:
    """Writes arrays by the names of an original: as `.safetensors`, or by PyTorch as `.pth`.

    Raises:
      InputError: another suffix, PyTorch is missing, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in TORCH:
        write_state(path, state, {'format': 'pt'})
        return
    torch = _torch(path, 'written')
    file = io.BytesIO()
    torch.save({name: torch.from_numpy(np.array(value)) for name, value in state.items()}, file)
    atomic.write(path, file.getvalue())


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    with _name_errors(path):
        return {
            name: _widen(np.frombuffer(found['data'], DTYPES[found['dtype']]), found['shape'])
            for name, found in safetensors.deserialize(path.read_bytes())
        }


def _torch(path: Path, done: str) -> Any:
    """The module.

    Raises:
      InputError: it is not there; says what was to be `done` with the path.
    """
    try:
        import torch  # type: ignore[import-not-found]
    except ImportError as error:
        raise InputError(
            f'{path}: checkpoints of PyTorch are {done} by PyTorch itself, which is not installed: '
            "pip install 'sr_jax[torch]', or take the weights as .safetensors"
        ) from error
    return torch


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    torch = _torch(path, 'read')
    with _name_errors(path):
        _check_unpacked(path)
        found: Any = torch.load(path, map_location='cpu', weights_only=True)
        for _ in NESTED:  # not for ever: a pickle can hold itself
            inner = next((key for key in NESTED if isinstance(found.get(key), Mapping)), '')
            found = found[inner] if inner else found
        tensors = {name: value for name, value in found.items() if torch.is_tensor(value)}
        if not tensors:
            raise ValueError(f'no weights in it, only {", ".join(map(str, found)) or "nothing"}')
        if 4 * sum(value.numel() for value in tensors.values()) > _allowed_bytes(path):
            raise ValueError('its arrays are many times as large as the file')
        wide = {name: v.float() if v.is_floating_point() else v for name, v in tensors.items()}
        return {name: value.detach().numpy() for name, value in wide.items()}


def _check_unpacked(path: Path) -> None:
    """Checks that a checkpoint, which PyTorch never compresses, does not unpack to much more.

    Raises:
      ValueError: it does.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            if sum(part.file_size for part in parts.infolist()) > _allowed_bytes(path):
                raise ValueError('it is compressed, and many times as large when it is unpacked')


def _allowed_bytes(path: Path) -> int:
    """Bytes that the arrays of a checkpoint may take: 16 bits become 32, and names share arrays."""
    return MAX_EXPANSION * path.stat().st_size + 2**20


@contextlib.contextmanager
def _name_errors(path: Path) -> Iterator[None]:
    """Whatever a reader raises of a file becomes an InputError that names it."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f'{path}: {error.strerror or error}') from error
    except Exception as error:  # the readers raise nearly anything of a damaged file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        if 'weights_only' in str(error) or 'Unsupported' in str(error):
            raise InputError(
                f'{path}: refused: it holds more than arrays, and opening it could run code '
                f'({reason}). Take the weights as .safetensors'
            ) from error
        raise InputError(f'{path}: damaged or not what its suffix says ({reason})') from error


def _widen(value: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """An array of that shape, its floats as float32."""
    floats = value.dtype in (np.float64, np.float32, np.float16, jnp.bfloat16)
    return value.astype(np.float32 if floats else value.dtype).reshape(shape)
