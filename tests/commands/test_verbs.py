"""Which verbs there are, and that finding them is quick."""

import pathlib
import subprocess
import sys

import pytest

from sr_jax import __main__ as verbs
from sr_jax import commands
from sr_jax.commands import train
from sr_jax.devices import kept_programs

FOLDER = pathlib.Path(commands.__file__).parent
SELDOM = ('orbax', 'scipy.linalg', 'scipy.ndimage', 'scipy.sparse', 'grain', 'av')
HEAVY = ('jax', 'flax', 'numpy', 'ml_collections', 'absl', 'orbax')


def test_every_file_is_a_verb_with_a_line_of_help():
    found = commands.find_verbs()
    stems = {path.stem for path in FOLDER.glob('*.py')} - {'__init__'}
    assert {name.replace('-', '_') for name in found} == stems
    assert {'convert-to-switched', 'train', 'benchmark', 'config'} <= found.keys()
    for name, line in found.items():
        assert line.endswith('.'), f'{name}: the first line of its docstring is its help'


@pytest.mark.parametrize('verb', commands.find_verbs())
def test_a_verb_has_what_is_called(verb):
    module = commands.load_verb(verb)
    assert hasattr(module, 'main') or (hasattr(module, 'add_arguments') and hasattr(module, 'run'))


@pytest.mark.parametrize('flag', ['--help', '--version'])
def test_help_and_version_import_nothing_heavy(flag):
    code = (
        'import sys\nfrom sr_jax.__main__ import main\n'
        'try:\n    main([sys.argv[1]])\n'
        'except SystemExit as done:\n    assert done.code == 0\n'
        f'found = set({HEAVY}) & set(sys.modules)\nassert not found, found'
    )
    done = subprocess.run([sys.executable, '-c', code, flag], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ('upscale' if flag == '--help' else '.') in done.stdout


@pytest.mark.parametrize(
    ('verb', 'message'),
    [
        ('upscal', "sr-jax upscal: no such verb; did you mean 'upscale'?"),
        ('evalute', "sr-jax evalute: no such verb; did you mean 'evaluate'?"),
        ('xyz', 'sr-jax xyz: no such verb; valid: app, benchmark, '),
        ('shared', 'sr-jax shared: no such verb; '),
        ('__init__', 'sr-jax __init__: no such verb; '),
    ],
)
def test_a_verb_that_is_not_there_is_one_line_with_the_nearest(verb, message, capsys):
    assert verbs.main([verb, 'x.png']) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)


def test_upscaling_imports_nothing_that_it_seldom_needs():
    code = (
        'import sys\nimport sr_jax.commands.upscale\n'
        f'found = set({SELDOM}) & set(sys.modules)\nassert not found, found'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(('options', 'kept'), [([], 1), (['--no-cache'], 0)])
def test_compiled_programs_are_kept_unless_told_not_to(options, kept, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(kept_programs, 'keep_programs', lambda: calls.append(1))
    monkeypatch.setattr(train, 'keep_programs', lambda: calls.append(2))
    monkeypatch.setattr(train.loop, 'train', lambda *_: train.loop.Result(1, {}, None))
    missing, config = str(tmp_path / 'missing'), str(FOLDER.parents[1] / 'configs/vqvae.py')
    assert verbs.main(['pack', missing, missing, *options]) == 1
    assert verbs.main(['train', '--config', config, '--workdir', missing, *options]) == 0
    assert calls == [1, 2][: 2 * kept]


@pytest.mark.parametrize('words', [[], ['--nonsense']])
def test_no_verb_is_a_wrong_command_line(words, capsys):
    with pytest.raises(SystemExit) as done:
        verbs.main(words)
    assert done.value.code == 2
    assert 'VERB' in capsys.readouterr().err
