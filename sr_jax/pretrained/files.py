"""Files of weights: safetensors, PyTorch's checkpoints and ncnn's pairs, to arrays by name.

Nothing that a file says is run: of PyTorch's checkpoints, which are pickles, the arrays are read
and nothing else is made (`sr_jax.pretrained.torch_files`); other pickles are not opened here.
"""

import contextlib
import io
import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from sr_jax.errors import InputError
from sr_jax.images import atomic
from sr_jax.pretrained import ncnn, torch_files

SAFETENSORS = '.safetensors'
TORCH = ('.pth', '.pt', '.ckpt')
NCNN = ('.param', '.bin')
PICKLE = '.pkl'
DTYPES: dict[str, Any] = {
    **{'F64': '<f8', 'F32': '<f4', 'F16': '<f2', 'BF16': jnp.bfloat16},
    **{'I64': '<i8', 'I32': '<i4', 'I16': '<i2', 'I8': '<i1', 'U8': '<u1', 'BOOL': '?'},
}
MAX_HEADER = 100_000_000  # bytes; safetensors' own limit


def read_state(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a file of weights, by their names in it.

    Reads `.safetensors`; `.pth`, `.pt` and `.ckpt` of PyTorch, without PyTorch, taking off what
    programs put around the arrays (`sr_jax.pretrained.wrappers`); `.param` or `.bin` of ncnn, of
    which the other must lie beside it. Floats of 16 bits become float32.

    Raises:
      InputError: no such file, it is damaged or of another kind, or it holds more than arrays.
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
    if suffix == PICKLE:
        raise InputError(
            f'{path}: a pickle holds code, which is not run here. Load a StyleGAN2 by the program '
            "of NVlabs, and save its arrays: torch.save(G_ema.state_dict(), 'generator.pth')"
        )
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
    try:
        import torch  # type: ignore[import-not-found]
    except ImportError as error:
        raise InputError(
            f'{path}: checkpoints of PyTorch are written by PyTorch, which is not installed: '
            "pip install 'sr_jax[torch]', or write the weights as .safetensors"
        ) from error
    file = io.BytesIO()
    torch.save({name: torch.from_numpy(np.array(value)) for name, value in state.items()}, file)
    atomic.write(path, file.getvalue())


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    with _name_errors(path):
        state = {}
        for name, found in safetensors.deserialize(path.read_bytes()):
            if found['dtype'] not in DTYPES:
                raise InputError(
                    f'arrays of the type {found["dtype"]} are not read here: take the weights in '
                    'floats of 16 or 32 bits'
                )
            values = np.frombuffer(found['data'], DTYPES[found['dtype']])
            state[name] = _widen(values, found['shape'])
        return state


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    with _name_errors(path):
        arrays = torch_files.read_arrays(path)
        return {name: _widen(value, value.shape) for name, value in arrays.items()}


@contextlib.contextmanager
def _name_errors(path: Path) -> Iterator[None]:
    """Whatever a reader raises of a file becomes an InputError that names it."""
    try:
        yield
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    except OSError as error:
        raise InputError(f'{path}: {error.strerror or error}') from error
    except Exception as error:  # the readers raise nearly anything of a damaged file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f'{path}: damaged or not what its suffix says ({reason})') from error


def _widen(value: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """An array of that shape, its floats as float32."""
    floats = value.dtype in (np.float64, np.float32, np.float16, jnp.bfloat16)
    return value.astype(np.float32 if floats else value.dtype).reshape(shape)
