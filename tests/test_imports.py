"""Who may import whom, held by reading the imports of every file.

    main -> commands -> page -> training -> inference -> checkpoints -> tasks
      -> {models, losses, optim, degradations, metrics, data, pretrained} -> layers -> kernels
    film, images, devices, config and errors are below all of them but the kernels

Imports only point down these arrows, so that a loss can be read without a network and a kernel
without Flax. The law is of packages: a new file needs no line here. CONTRIBUTING.md says what each
is for.
"""

import ast
import pathlib
import re
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# From above down: each may import itself and all that stand below it, and none beside it.
FLOORS = (
    {'__main__', 'main', '__init__'},
    {'commands'},
    {'page'},
    {'training'},
    {'inference'},
    {'checkpoints'},
    {'tasks'},
    {'models', 'losses', 'optim', 'degradations', 'metrics', 'data', 'pretrained'},
    {'layers'},
    {'film'},
    {'images', 'devices'},
    {'config'},
    {'errors'},
    {'kernels'},
)

# Neighbours that may be imported all the same: LPIPS and FID measure with networks.
BESIDES_THEM = {'metrics': {'models', 'pretrained'}}

# Who alone may import what would be below others too.
ONLY_BY = {'kernels': {'layers'}}
ONLY_FROM = {'__init__': {'inference', 'page'}, 'configs': {'config'}}

# What a file looks up by its name: a config's defaults are those of its task and its networks.
BY_NAME = {'config.defaults': {'tasks', 'models'}}

# What computes on arrays takes of these rooms only what reads no file and asks for no device.
ON_ARRAYS = {'models', 'layers', 'losses', 'degradations'}
FOR_ARRAYS = {'film': set(), 'images': {'resize'}, 'devices': set()}

# Networks that are built from another one; every other network stands alone.
BUILT_FROM_SIBLINGS = {'frvsr', 'glean', 'glean_dlas', 'srflow'}
# What a file of networks may import of the package besides: what may be asked of any network.
OF_ALL_NETWORKS = {'protocols'}

# Rooms that may import nothing from outside but these (and the kernels Python's own library).
ONLY = {
    'configs': {'ml_collections', 'sr_jax'},
    'kernels': {'jax', 'jaxtyping', 'numpy', *sys.stdlib_module_names},
}

# What rooms and files of the kernels may import besides: their language, and what calls it.
BESIDES = {
    'gpu.compile_check': {'triton'},
    'gpu.gluon_on_numpy': {'triton'},
    'gpu.interpret': {'triton'},
    'gpu.jax_triton': {'jax_triton'},
    'switched_conv.triton': {'triton'},
}

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
    module = '.'.join(importer[2:])
    rooms = (module, module.rpartition('.')[0])
    besides = set().union(*(BESIDES.get(name, set()) for name in rooms))
    if first not in ONLY.get(room, {first}) | besides:
        return f'{room} may only import {ONLY[room] - sys.stdlib_module_names}'
    return ''


def allowed_rooms(room: str) -> set[str]:
    """Returns the rooms that a room may import."""
    if room in ONLY_FROM:
        return ONLY_FROM[room]
    below = next((FLOORS[i + 1 :] for i, rooms in enumerate(FLOORS) if room in rooms), ())
    found = {name for floor in below for name in floor if room in ONLY_BY.get(name, {room})}
    return found | {room, '__version__'} | BESIDES_THEM.get(room, set())


def complaint_inside(target: list[str], room: str, importer: list[str]) -> str:
    """Returns what is wrong with an import of `sr_jax.<target>`, or ''."""
    if set(target[:1]) & BY_NAME.get('.'.join(importer[1:]), set()):
        return ''
    known = room in ONLY_FROM or any(room in rooms for rooms in FLOORS)
    if not known or not target or target[0] not in allowed_rooms(room):
        return f'{room} may not import {".".join(target) or "everything"}: it is not below'
    if room in ON_ARRAYS and target[0] in FOR_ARRAYS and importer[1] == room:
        valid = FOR_ARRAYS[target[0]]
        if not set(target[1:2]) & valid:
            return f'{room} may import of {target[0]} only {valid or "nothing"}'
    may_import_it = {'__init__', *target[1:2], *BUILT_FROM_SIBLINGS}
    sibling = target[0] == room == 'models' and not set(target[1:2]) & OF_ALL_NETWORKS
    if sibling and importer[2] not in may_import_it:
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


def test_every_room_has_its_floor():
    rooms = {path.stem for path in (ROOT / 'sr_jax').glob('*') if path.suffix in ('', '.py')}
    missing = rooms - {'__pycache__'} - {name for floor in FLOORS for name in floor}
    assert not missing, f'give {missing} a floor, or their code another home'


def test_the_root_of_the_package_holds_five_files():
    files = {path.name for path in (ROOT / 'sr_jax').iterdir() if path.is_file()}
    assert files == {'__init__.py', '__main__.py', 'main.py', 'errors.py', 'py.typed'}


@pytest.mark.parametrize(
    ('path', 'source'),
    [
        ('sr_jax/training/loop.py', 'from sr_jax import checkpoints, tasks'),
        ('sr_jax/commands/upscale.py', 'from sr_jax.commands.shared import table'),
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
        ('sr_jax/film/reader.py', 'from sr_jax.images import atomic'),
        ('sr_jax/data/sources/clips.py', 'from sr_jax.film import color'),
        ('sr_jax/config/binding.py', "import_module(f'{package}.{name}')"),
        ('sr_jax/__main__.py', 'from sr_jax import __version__'),
        ('kernels/switched_conv/api.py', 'import jax\nimport functools\nfrom . import routing'),
        ('configs/vqvae.py', 'import ml_collections'),
        ('configs/vqvae.py', 'from sr_jax.config.defaults import defaults'),
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
        ('sr_jax/tasks/vqvae.py', 'from sr_jax.training import loop', 'sr_jax.training.loop'),
        ('sr_jax/training/loop.py', 'from sr_jax.commands import train', 'sr_jax.commands.train'),
        ('sr_jax/losses/pixel.py', 'from sr_jax.devices import memory', 'sr_jax.devices.memory'),
        ('sr_jax/degradations/jpeg.py', 'from sr_jax.images import files', 'sr_jax.images.files'),
        ('sr_jax/metrics/fid.py', 'from sr_jax import inference', 'sr_jax.inference'),
        ('sr_jax/film/color.py', 'from sr_jax.layers import x', 'sr_jax.layers.x'),
        ('sr_jax/models/rrdb.py', 'from sr_jax.film import color', 'sr_jax.film.color'),
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
