import os
import subprocess
import sys

from sr_jax.config.extension import extend

NETWORK = """
from sr_jax.models.srvgg import Model
"""
PROGRAM = """
from sr_jax import models
from sr_jax.commands import find_verbs
print('mine' in models.names(), find_verbs()['greet'])
print(models.make({'name': 'mine', 'features': 5}).features)
"""


def test_folders_that_are_there_come_after_ours(tmp_path, monkeypatch):
    first, second = tmp_path / 'a', tmp_path / 'b'
    (first / 'models').mkdir(parents=True)
    (second / 'data' / 'sources').mkdir(parents=True)
    monkeypatch.setenv('SR_JAX_PATH', os.pathsep.join((str(first), '', str(second))))
    assert extend(['ours'], 'sr_jax.models') == ['ours', str(first / 'models')]
    assert extend(['ours'], 'sr_jax.data.sources') == ['ours', str(second / 'data' / 'sources')]
    assert extend(['ours'], 'sr_jax.tasks') == ['ours']
    monkeypatch.delenv('SR_JAX_PATH')
    assert extend(['ours'], 'sr_jax.models') == ['ours']


def test_a_process_finds_networks_and_verbs_of_ones_own(tmp_path):
    for folder, name, text in (
        ('models', 'mine.py', NETWORK),
        ('commands', 'greet.py', '"""says hello"""\n'),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    found = subprocess.run(
        [sys.executable, '-c', PROGRAM],
        env={**os.environ, 'SR_JAX_PATH': str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ['True', 'says', 'hello', '5']
