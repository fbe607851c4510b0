"""What gets installed: the wheel, the editable checkout, the Python and the dependencies.

Nothing here needs the network: the built packages go into empty environments, which find their
dependencies in the environment that runs the tests.
"""

import ast
import configparser
import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest

import sr_jax
from sr_jax.pretrained import named

ROOT = pathlib.Path(__file__).parents[1]
WHERE = 'import sr_jax, sr_jax.kernels as k; print(sr_jax.__file__); print(k.__file__)'


def run(*command: str | pathlib.Path, cwd: pathlib.Path) -> str:
    """Runs a command away from our own checkout and returns what it prints."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={'PATH': '/usr/bin:/bin', 'JAX_PLATFORMS': 'cpu', 'HOME': str(cwd)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / 'setup.cfg')
    return parser


@pytest.fixture(scope='module')
def checkout(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Returns a copy of the sources with one more operation; ours stay clean when it is built."""
    copy = tmp_path_factory.mktemp('packaging') / 'checkout'
    copy.mkdir()
    for folder in ('sr_jax', 'kernels', 'configs', 'tests'):
        ignored = shutil.ignore_patterns('__pycache__', 'fixtures')
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    for file in ('setup.py', 'setup.cfg', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / file, copy)
    operation = copy / 'kernels' / 'an_operation'  # a new one must need no line anywhere
    operation.mkdir()
    for file in ('__init__.py', 'api.py'):
        (operation / file).write_text('')
    return copy


def make_environment(folder: pathlib.Path) -> pathlib.Path:
    """Makes an environment without any package of its own and returns its Python."""
    run(sys.executable, '-m', 'venv', '--without-pip', folder, cwd=folder.parent)
    (site_packages,) = folder.glob('lib/python*/site-packages')
    # An added folder's own .pth files are not read: our editable install stays out of sight.
    (site_packages / 'dependencies.pth').write_text(sysconfig.get_path('purelib') + '\n')
    return folder / 'bin' / 'python'


def install(python: pathlib.Path, *what: str | pathlib.Path) -> None:
    """Installs what was built, and nothing else, into the environment of a Python."""
    options = ('--quiet', '--no-index', '--no-deps', '--no-build-isolation', '--ignore-installed')
    run(python, '-m', 'pip', 'install', *options, *what, cwd=python.parent)


@pytest.fixture(scope='module')
def wheel(checkout: pathlib.Path) -> pathlib.Path:
    """Returns the wheel that is built from the source distribution."""
    out = checkout.parent / 'dist'
    run(sys.executable, '-m', 'build', '--no-isolation', '--outdir', out, cwd=checkout)
    (path,) = out.glob('*.whl')
    return path


def test_the_wheel_works_alone(wheel: pathlib.Path):
    python = make_environment(wheel.parents[1] / 'wheel_environment')
    install(python, wheel)
    for file in run(python, '-c', WHERE, cwd=wheel.parent).splitlines():
        assert pathlib.Path(file).is_relative_to(python.parents[1])
    assert 'usage' in run(python.with_name('sr-jax'), '--help', cwd=wheel.parent).lower()
    version = run(python.with_name('sr-jax'), '--version', cwd=wheel.parent)
    assert sr_jax.__version__ in version


def test_the_wheel_holds_our_package_and_nothing_else(wheel: pathlib.Path):
    names = zipfile.ZipFile(wheel).namelist()
    expected = {'sr_jax', f'sr_jax-{sr_jax.__version__}.dist-info'}
    assert {name.split('/')[0] for name in names} == expected
    assert {'sr_jax/py.typed', 'sr_jax/page/static/page.js'} <= set(names)
    assert any(name.endswith('licenses/LICENSE') for name in names)


def test_the_wheel_holds_every_module(wheel: pathlib.Path, checkout: pathlib.Path):
    folders = {'sr_jax': checkout / 'sr_jax', 'sr_jax/kernels': checkout / 'kernels'}
    expected = {
        f'{name}/{file.relative_to(folder).as_posix()}'
        for name, folder in folders.items()
        for file in folder.rglob('*.py')
    }
    assert 'sr_jax/kernels/an_operation/api.py' in expected
    assert {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith('.py')} == expected


def test_an_editable_install_finds_the_kernels_from_anywhere(checkout: pathlib.Path):
    python = make_environment(checkout.parent / 'editable_environment')
    install(python, '--editable', checkout)
    expected = [str(checkout / 'sr_jax/__init__.py'), str(checkout / 'kernels/__init__.py')]
    for folder in (checkout.parent, checkout):
        assert run(python, '-c', WHERE, cwd=folder).splitlines() == expected


def test_requirements_end_with_the_checkout():
    assert (ROOT / 'requirements.txt').read_text().splitlines()[-1] == '-e .'


def test_dependencies_have_lower_bounds_only():
    options = setup_cfg()
    extras = dict(options['options.extras_require'])
    pinned = extras.pop('pretrained')  # weights of which the checksums are known
    lines = '\n'.join([options['options']['install_requires'], *extras.values()]).split('\n')
    for line in filter(None, lines):
        condition = r"(sys_platform=='\w+'|python_version>='[\d.]+')"
        marker = f'(;{condition}( and {condition})?)?'
        upper = r'(,<7)?' if line.startswith('gradio') else ''  # its wire is the page's
        assert re.fullmatch(rf'[\w-]+(\[\w+\]|>=[\d.]+{upper}){marker}', line), line
    releases = {f'{package.name}=={package.version}' for package, *_ in named.WEIGHTS.values()}
    assert {line.partition(';')[0] for line in pinned.split('\n') if line} == releases


def test_everything_imported_is_a_declared_dependency():
    distributions = importlib.metadata.packages_distributions()
    options = setup_cfg()
    extras = options['options.extras_require']
    late = ('lmdb', 'torch', 'compile-check', 'video', 'app', 'cuda12', 'onnx', 'detection')
    imported_late = [extras[name] for name in late]
    lines = '\n'.join([options['options']['install_requires'], *imported_late])
    declared = {normal(re.split(r'[\[>]', line)[0]) for line in lines.split('\n') if line}
    ours = {*sys.stdlib_module_names, 'sr_jax'}
    imported = {
        name: file
        for folder in ('sr_jax', 'kernels', 'configs')
        for file in (ROOT / folder).rglob('*.py')
        for name in third_parties(file.read_text()) - ours
    }
    assert 'jax' in imported
    for name, file in imported.items():
        # A package of an extra need not be installed here, and bears its import's name.
        found = {normal(distribution) for distribution in distributions.get(name, [name])}
        assert found & declared, f'{file} imports {name}: declare {found} in setup.cfg'


def third_parties(source: str) -> set[str]:
    """Returns the top-level names of all absolute imports."""
    nodes = list(ast.walk(ast.parse(source)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.split('.')[0] for name in plain | froms}


def normal(distribution: str) -> str:
    """Returns the name of a distribution as package indices compare it."""
    return re.sub(r'[-_.]+', '-', distribution).lower()
