"""`sr-jax config`: the resolved config, or what differs in it."""

import pathlib

import ml_collections
import pytest

from sr_jax import __main__ as verbs
from sr_jax import main as training
from sr_jax.commands.config import describe
from sr_jax.config.defaults import defaults

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = ('esrgan:real', 'sr_experiment:gan', 'srflow:x8_encoder', 'vqvae_switched:original')


@pytest.fixture(autouse=True)
def root(monkeypatch):
    monkeypatch.chdir(ROOT)


def config_of(name):
    """A config as its file returns it."""
    stem, _, variant = name.partition(':')
    scope: dict = {'__file__': f'configs/{stem}.py'}
    exec((ROOT / 'configs' / f'{stem}.py').read_text(), scope)
    return scope['get_config'](variant)


@pytest.mark.parametrize('name', CONFIGS)
def test_what_differs_is_the_body_of_the_same_config(name, capsys):
    path, _, variant = name.partition(':')
    assert verbs.main(['config', f'configs/{path}.py:{variant}']) == 0
    shown = capsys.readouterr().out
    scope = {'defaults': defaults}
    exec(shown, scope)
    assert scope['config'] == config_of(name)
    assert 'config.seed' not in shown


@pytest.mark.parametrize('name', CONFIGS)
def test_all_keys_are_shown_with_their_values(name, capsys):
    path, _, variant = name.partition(':')
    assert verbs.main(['config', f'configs/{path}.py:{variant}', '--all']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 'config.seed = 0' in lines
    config: dict = {}
    for line in lines:
        key, value = line.removeprefix('config.').split(' = ')
        *sections, last = key.split('.')
        section = config
        for part in sections:
            section = section.setdefault(part, {})
        section[last] = eval(value)
    assert ml_collections.ConfigDict(config) == config_of(name)


def test_changes_on_the_command_line_are_in_it(capsys):
    words = ['--config.train.steps=3', '--config.model.switching.layers', "('decoder/conv',)"]
    assert verbs.main(['config', 'configs/vqvae.py:demo', *words]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "config = defaults('vqvae', model='vqvae')"
    assert 'config.train.steps = 3' in shown
    assert "config.model.switching.layers = ('decoder/conv',)" in shown


@pytest.mark.parametrize(
    ('path', 'changes'),
    [
        ('configs/vqvea.py', []),
        ('configs/vqvae.py:imagnet', []),
        ('configs/vqvae.py', ['--config.train.batchsize=3']),
        ('configs/vqvae.py', ['--config.train.batch_size=many']),
        ('configs/vqvae.py', ['--nonsense']),
    ],
)
def test_what_is_wrong_is_told_as_in_training(path, changes, capsys):
    assert verbs.main(['config', path, *changes]) == 1
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert training.main(['main', '--config', path, *changes]) == 1
    assert capsys.readouterr().err == error


def test_a_task_that_is_none_is_named(capsys):
    assert verbs.main(['config', 'configs/vqvae.py', '--config.task=terms']) == 1
    assert "config.task='terms' is unknown: valid: " in capsys.readouterr().err


def test_a_section_of_other_keys_is_shown_whole():
    old = ml_collections.ConfigDict({'a': {'b': 1, 'c': 2}, 'd': {'e': 3}})
    new = ml_collections.ConfigDict({'a': {'b': 1}, 'd': {'e': 4}})
    assert list(describe(new, old)) == ["config.a = {'b': 1}", 'config.d.e = 4']
