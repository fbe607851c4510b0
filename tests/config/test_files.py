"""Configs from Python files and from runs, and what is told of files that are none."""

import json

import pytest
from PIL import Image

from sr_jax import __main__ as verbs
from sr_jax import main as training
from sr_jax.config.defaults import defaults
from sr_jax.config.files import RUN_CONFIG, is_run, read_config
from sr_jax.config.serialization import to_json
from sr_jax.errors import InputError
from sr_jax.training import loop


@pytest.fixture
def run(tmp_path):
    """The folder of a run whose config differs from the defaults in three keys."""
    folder = tmp_path / 'run'
    folder.mkdir()
    config = defaults('regression', model='rrdb')
    config.train.steps = 7
    config.optimizer.milestones = (2, 5)
    config.model.features = 6
    (folder / RUN_CONFIG).write_text(to_json(config))
    return folder


@pytest.fixture
def write(tmp_path):
    """Returns a function that writes a file and gives its path."""

    def write(text, name='mine.py'):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize('inside', ['', RUN_CONFIG])
def test_the_config_of_a_run_is_read_whole_with_what_is_changed(inside, run, capsys, monkeypatch):
    path = str(run / inside)
    assert verbs.main(['config', path, '--config.train.batch_size=3']) == 0
    assert set(capsys.readouterr().out.splitlines()) == {
        "config = defaults('regression', model='rrdb')",
        'config.train.steps = 7',
        'config.train.batch_size = 3',
        'config.optimizer.milestones = (2, 5)',
        'config.model.features = 6',
    }
    seen = []
    result = loop.Result(7, {}, None)
    monkeypatch.setattr(loop, 'train', lambda *given: seen.append(given) or result)
    words = ['--config', path, '--config.model.features=5', '--workdir', 'again']
    assert training.main(['main', *words]) == 0
    config, workdir, _ = seen[0]
    assert (config.model.features, config.train.steps, workdir) == (5, 7, 'again')
    assert config.is_locked


def test_a_key_that_has_come_since_has_its_default(run):
    saved = json.loads((run / RUN_CONFIG).read_text())
    del saved['train']['fsdp'], saved['evaluation']
    (run / RUN_CONFIG).write_text(json.dumps(saved))
    config = read_config(run)
    assert (config.train.fsdp, config.train.steps, config.evaluation.every) == (1, 7, 500)


def test_where_a_run_is_repeated_is_to_be_said(run, capsys):
    assert training.main(['main', '--config', str(run)]) == 1
    assert 'is that of a run: say by --workdir where' in capsys.readouterr().err


def test_a_run_has_no_variants(run):
    with pytest.raises(InputError, match='no variants: leave out :x8'):
        read_config(run, 'x8')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"task": "regression", ', 'is no config of a run (Expecting'),
        ('[1, 2]', 'is no config of a run ('),
        ('{"seed": 3}', "is no config of a run (it has no key 'task'): a config is a Python file"),
        ('{"task": "regresion"}', "config.task='regresion' is unknown: did you mean 'regression'?"),
    ],
)
def test_json_that_is_no_config_is_one_line(text, message, write):
    with pytest.raises(InputError) as error:
        read_config(write(text, 'other.json'))
    assert message in str(error.value)
    assert '\n' not in str(error.value)


def test_a_folder_that_is_no_run_is_one_line(tmp_path):
    assert is_run(tmp_path)
    with pytest.raises(InputError, match=r'is no run: it has no config\.json; a config is'):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('true\n', "mine.py, line 1: NameError: name 'true' is not defined"),
        ('\nimport nothing_like_it\n', 'mine.py, line 2: ModuleNotFoundError: No module named'),
        ('a = 1\n\nb = (\n', "mine.py, line 3: SyntaxError: '(' was never closed"),
        ('x = 1\0\n', 'mine.py: SyntaxError: source code'),
        ('import json\n\njson.loads("{")\n', 'mine.py, line 3: JSONDecodeError: Expecting'),
        ('def get_config():\n    return {}[3]\n', 'mine.py, line 2: KeyError: 3'),
        ('def get_config(x):\n    pass\n', 'mine.py: TypeError: get_config() missing 1 required'),
        ('raise SystemExit("help")\n', 'mine.py, line 1: SystemExit: help'),
        ('raise ValueError("a\\nb")\n', 'mine.py, line 1: ValueError: a'),
        ('get_config = 3\n', 'get_config() must return an ml_collections.ConfigDict'),
        ('def get_config():\n    return {}\n', 'not dict'),
        ('', 'is no config, since it has no get_config(): a config is a Python file'),
    ],
)
def test_what_goes_wrong_in_a_file_is_one_line(text, message, write, capsys):
    path = str(write(text))
    assert training.main(['main', '--config', path]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert path in error
    assert len(error.splitlines()) == 1
    assert verbs.main(['config', path]) == 1
    assert capsys.readouterr().err == error


def test_an_image_is_no_config(tmp_path):
    Image.new('RGB', (5, 3)).save(tmp_path / 'image.png')
    with pytest.raises(InputError, match=r'image\.png is no config: a config is a Python file'):
        read_config(tmp_path / 'image.png')


def test_a_dataclass_of_a_file_finds_its_module(write):
    read = read_config(
        write(
            'from __future__ import annotations\nimport dataclasses\n'
            'from sr_jax.config.defaults import defaults\n'
            '@dataclasses.dataclass\nclass Mine:\n    steps: int = 3\n'
            "def get_config():\n    config = defaults('regression', model='srresnet')\n"
            '    config.train.steps = Mine().steps\n    return config\n'
        )
    )
    assert read.train.steps == 3
