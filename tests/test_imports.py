"""Who may import whom, held by reading the imports of every file.

    main -> commands -> tasks -> {models, losses, optimizer, degradations}
                         tasks -> pretrained, for the frozen network behind a loss
    metrics -> {models, pretrained}, for the networks that LPIPS and FID measure with
    models -> layers -> kernels

Imports only point down these arrows, so that a loss can be read without a network and a kernel
without Flax. CONTRIBUTING.md says what each room is for.
"""

import ast
import pathlib
import re
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# Anybody may import these two; they import nothing of ours but each other.
EVERYWHERE = {'config', 'errors'}

# What each room may import besides itself and EVERYWHERE.
ROOMS = {
    '__init__': {'upscaling'},
    '__main__': {'commands', 'main'},
    'main': {'commands', 'distributed', 'progress'},
    'commands': {
        *('checkpoint', 'data', 'degradations', 'distributed', 'file_writing', 'image_io'),
        *('keeping', 'latents', 'losses', 'memory', 'metrics', 'networks', 'pretrained'),
        *('progress', 'resize', 'sharding', 'stopping', 'tasks', 'trained', 'upscaling'),
    },
    'upscaling': {
        *('consistency', 'image_decoding', 'image_io', 'latents', 'layers', 'memory', 'networks'),
        *('sharding', 'tiles', 'windows'),
    },
    'windows': {'tiles'},
    'consistency': {'resize'},
    'latents': set(),
    'networks': {'models', 'pretrained', 'record', 'sharding', 'trained'},
    'trained': {'checkpoint', 'keeping', 'layers', 'sharding', 'tasks'},
    'tasks': {
        *('degradations', 'layers', 'losses', 'metrics', 'models', 'optimizer', 'pretrained'),
        'resize',
        'sharding',
    },
    'models': {'layers', 'resize'},
    'layers': {'kernels'},
    'kernels': set(),
    'losses': set(),
    'metrics': {'image_decoding', 'models', 'pretrained'},
    'optimizer': set(),
    'checkpoint': {'disk', 'distributed', 'fingerprint', 'keeping', 'readable', 'record'},
    'disk': {'distributed'},
    'readable': {'record'},
    'record': set(),
    'keeping': set(),
    'distributed': {'watch'},
    'watch': set(),
    'fingerprint': set(),
    'sharding': set(),
    'memory': set(),
    'pretrained': {'file_writing'},
    'data': {'image_io', 'resize'},
    'degradations': {'resize'},
    'resize': set(),
    'progress': {'image_io', 'tensorboard'},
    'stopping': {'sharding'},
    'tensorboard': set(),
    'image_io': {'file_writing', 'image_decoding', 'image_encoding'},
    'file_writing': set(),
    'image_encoding': {'image_decoding'},
    'image_decoding': set(),
    'tiles': {'image_decoding'},
    'config': set(),
    'errors': set(),
}

# Networks that are built from another one; every other network stands alone.
BUILT_FROM_SIBLINGS = {'glean', 'srflow'}

# Rooms that may import nothing from outside but these (and the kernels Python's own library).
ONLY = {
    'configs': {'ml_collections'},
    'kernels': {'jax', 'jaxtyping', 'numpy', *sys.stdlib_module_names},
}

# What single files may import besides: the compiler that the GPU kernels are tried with.
BESIDES = {'gpu.compile_check': {'triton'}}

# Folders of the repository that are not modules of the installed package.
NOT_INSTALLED = {'benchmarks', 'configs', 'kernels', 'tests', 'tools'}

# `config.find_module` imports what its callers name: their strings are seen where they stand.
IMPORTS_FOR_OTHERS = {'config'}

UNREADABLE = '?'


def imported_names(source: str, package: str) -> Iterator[str]:
    """Yields the full name of all that the source of a module of `package` imports.

    `from sr_jax import tasks` gives 'sr_jax.tasks'. A string that begins with 'sr_jax.', outside a
    docstring, counts as an import too, for that is how importlib is told what to import; what
    importlib gets otherwise, if its beginning cannot be read, gives UNREADABLE.
    """
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                base = absolute(node, package)
                yield from (f'{base}.{alias.name}' for alias in node.names)
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield from re.findall(r'^sr_jax\.\w+', text)
            case ast.Call() if called(node) in ('import_module', '__import__'):
                name = [*node.args, *(keyword.value for keyword in node.keywords)][0]
                text = leading_text(name)
                if isinstance(name, ast.Constant) and not text.startswith('.'):
                    yield text
                elif not re.match(r'sr_jax\.\w+\.', text):
                    yield UNREADABLE


def absolute(node: ast.ImportFrom, package: str) -> str:
    """Returns what stands between 'from' and 'import', with leading dots resolved."""
    parts = package.split('.')
    above = parts[: len(parts) + 1 - node.level] if node.level else []
    return '.'.join(above + ([node.module] if node.module else []))


def called(node: ast.Call) -> str:
    """Returns the last part of the name of the called function, or ''."""
    return getattr(node.func, 'attr', getattr(node.func, 'id', ''))


def leading_text(node: ast.expr) -> str:
    """Returns the text that a string expression visibly begins with, or ''."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=[first, *_]):
            return leading_text(first)
        case ast.BinOp(left=left):
            return leading_text(left).split('%')[0]
        case ast.Call(func=ast.Attribute(value=text, attr='format')):
            return leading_text(text).split('{')[0]
    return ''


def violations(source: str, path: str) -> list[str]:
    """Returns the import rules that a file breaks, one line each; `path` starts at the root."""
    parts = path.removesuffix('.py').split('/')
    if parts[0] == 'kernels':
        parts.insert(0, 'sr_jax')
    room = parts[1] if parts[0] == 'sr_jax' else parts[0]
    names = sorted(set(imported_names(source, '.'.join(parts[:-1]))))
    complaints = ((name, complaint(name, room, parts)) for name in names)
    return [f'{path} imports {name}: {text}' for name, text in complaints if text]


def complaint(name: str, room: str, importer: list[str]) -> str:
    """Returns what is wrong with an import of `name` in a module of `room`, or ''."""
    first, *rest = name.split('.')
    if name == UNREADABLE:
        return '' if room in IMPORTS_FOR_OTHERS else "begin the string with 'sr_jax.<room>.'"
    if first in NOT_INSTALLED:
        return f'{first}/ is not a module of the installed package'
    if first == 'sr_jax':
        return complaint_inside(rest, room, importer)
    if first in ('torch', 'torchvision', 'safetensors') and room != 'pretrained':
        return 'only pretrained knows torch'
    besides = BESIDES.get('.'.join(importer[2:]), set())
    if first not in ONLY.get(room, {first}) | besides:
        return f'{room} may only import {ONLY[room] - sys.stdlib_module_names}'
    return ''


def complaint_inside(target: list[str], room: str, importer: list[str]) -> str:
    """Returns what is wrong with an import of `sr_jax.<target>`, or ''."""
    if room not in ROOMS:
        allowed = set()
    elif room in EVERYWHERE:
        allowed = EVERYWHERE
    else:
        allowed = ROOMS[room] | {room} | EVERYWHERE | {'__version__'}
    if not target or target[0] not in allowed:
        return f'{room} may only import {", ".join(sorted(allowed)) or "nothing of ours"}'
    may_import_it = {'__init__', *target[1:2], *BUILT_FROM_SIBLINGS}
    if target[0] == room == 'models' and importer[2] not in may_import_it:
        return f'only {" and ".join(sorted(BUILT_FROM_SIBLINGS))} are built from a sibling network'
    return ''


def our_files() -> list[str]:
    """Returns every Python file of the package, its kernels and the configs, from the root."""
    folders = ('sr_jax', 'kernels', 'configs')
    found = (path for folder in folders for path in (ROOT / folder).rglob('*.py'))
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def test_every_file_imports_only_what_its_room_may():
    files = our_files()
    assert 'sr_jax/main.py' in files
    found = [line for file in files for line in violations((ROOT / file).read_text(), file)]
    assert not found, '\n'.join(['', *found])


def test_every_room_is_in_the_table():
    rooms = {path.stem for path in (ROOT / 'sr_jax').glob('*') if path.suffix in ('', '.py')}
    missing = rooms - {'__pycache__'} - set(ROOMS)
    assert not missing, f'give {missing} a line in ROOMS, or their code another home'


@pytest.mark.parametrize(
    ('path', 'source'),
    [
        ('sr_jax/training/loop.py', 'from sr_jax import checkpoint, tasks'),
        ('sr_jax/training/loop.py', 'from sr_jax.commands.evaluate import run'),
        ('sr_jax/tasks/vqvae.py', "find_module('sr_jax.models', name)"),
        ('sr_jax/tasks/vqvae.py', "importlib.import_module(f'sr_jax.models.{name}')"),
        ('sr_jax/tasks/regression.py', 'from sr_jax import degradations'),
        ('sr_jax/models/__init__.py', "find_module('sr_jax.models', name)"),
        ('sr_jax/models/srflow.py', 'from sr_jax.models import rrdb'),
        ('sr_jax/models/vqvae.py', "import importlib\nimportlib.import_module('optax')"),
        ('sr_jax/layers/switched_conv.py', 'from sr_jax.kernels.switched_conv import api'),
        ('sr_jax/losses/pixel.py', "'sr_jax.models in a docstring'\nimport jax"),
        ('sr_jax/metrics/lpips.py', 'from sr_jax.models import vgg'),
        ('sr_jax/pretrained/rrdb.py', 'def load():\n    import torch'),
        ('sr_jax/data/sources/folder.py', 'from sr_jax.errors import InputError'),
        ('sr_jax/config/binding.py', "import_module(f'{package}.{name}')"),
        ('sr_jax/__main__.py', 'from sr_jax import __version__'),
        ('kernels/switched_conv/api.py', 'import jax\nimport functools\nfrom . import routing'),
        ('configs/vqvae.py', 'import ml_collections'),
    ],
)
def test_what_is_allowed_passes(path: str, source: str):
    assert violations(source, path) == []


@pytest.mark.parametrize(
    ('path', 'source', 'offender'),
    [
        ('sr_jax/losses/pixel.py', 'import sr_jax.models.vqvae', 'sr_jax.models.vqvae'),
        ('sr_jax/losses/pixel.py', 'from sr_jax import models as m', 'sr_jax.models'),
        ('sr_jax/losses/pixel.py', 'from ..models import vqvae', 'sr_jax.models.vqvae'),
        ('sr_jax/losses/pixel.py', 'from .. import models', 'sr_jax.models'),
        ('sr_jax/losses/__init__.py', 'from ..models import vqvae', 'sr_jax.models.vqvae'),
        ('sr_jax/losses/pixel.py', 'def f():\n    from sr_jax import tasks', 'sr_jax.tasks'),
        ('sr_jax/losses/pixel.py', "import_module('sr_jax.tasks.' + name)", 'sr_jax.tasks'),
        ('sr_jax/losses/pixel.py', "find_module(f'sr_jax.tasks.{name}')", 'sr_jax.tasks'),
        ('sr_jax/losses/pixel.py', "import_module('sr_jax.tasks.%s' % name)", 'sr_jax.tasks'),
        ('sr_jax/losses/pixel.py', "import_module('sr_jax.tasks.{}'.format(x))", 'sr_jax.tasks'),
        ('sr_jax/tasks/vqvae.py', 'import_module(name)', UNREADABLE),
        ('sr_jax/tasks/vqvae.py', "import_module(f'sr_jax.{room}.vqvae')", UNREADABLE),
        ('sr_jax/tasks/vqvae.py', "import_module(name='.vqvae', package=room)", UNREADABLE),
        ('sr_jax/tasks/vqvae.py', 'import sr_jax', 'sr_jax'),
        ('sr_jax/tasks/vqvae.py', 'from sr_jax.data import pipeline', 'sr_jax.data.pipeline'),
        ('sr_jax/degradations/jpeg.py', 'from sr_jax import image_io', 'sr_jax.images.files'),
        ('sr_jax/metrics/fid.py', 'from sr_jax import networks', 'sr_jax.inference.networks'),
        ('sr_jax/data/crops.py', 'from sr_jax import degradations', 'sr_jax.degradations'),
        ('sr_jax/models/rrdb.py', 'from sr_jax.models import vqvae', 'sr_jax.models.vqvae'),
        ('sr_jax/models/rrdb.py', 'from sr_jax import models', 'sr_jax.models'),
        ('sr_jax/models/rrdb.py', 'from . import vqvae', 'sr_jax.models.vqvae'),
        ('sr_jax/models/rrdb.py', 'from sr_jax.kernels import api', 'sr_jax.kernels.api'),
        ('sr_jax/models/rrdb.py', "importlib.import_module('torch')", 'torch'),
        ('sr_jax/models/rrdb.py', 'import kernels.switched_conv', 'kernels.switched_conv'),
        ('sr_jax/training/loop.py', 'from configs import vqvae', 'configs.vqvae'),
        ('sr_jax/data/sources/folder.py', 'import torch.utils', 'torch.utils'),
        ('sr_jax/config/binding.py', 'from sr_jax import tasks', 'sr_jax.tasks'),
        ('sr_jax/utils/things.py', 'from sr_jax import errors', 'sr_jax.errors'),
        ('sr_jax/__init__.py', 'from sr_jax.models import vqvae', 'sr_jax.models.vqvae'),
        ('kernels/switched_conv/api.py', 'import flax.linen', 'flax.linen'),
        ('kernels/switched_conv/api.py', 'from ...layers import x', 'sr_jax.layers.x'),
        ('configs/vqvae.py', 'import math', 'math'),
        ('configs/vqvae.py', 'from sr_jax import tasks', 'sr_jax.tasks'),
    ],
)
def test_what_is_forbidden_is_named(path: str, source: str, offender: str):
    (line,) = violations(source, path)
    assert line.startswith(f'{path} imports {offender}: ')
