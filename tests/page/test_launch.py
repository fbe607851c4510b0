"""What is said where the page cannot be opened."""

import subprocess
import sys

import pytest

import sr_jax
from sr_jax import __main__ as verbs
from sr_jax.errors import InputError

OUTSIDE = (dict(host='0.0.0.0'), dict(host='192.168.0.7'), dict(share=True))


@pytest.mark.parametrize('options', OUTSIDE)
def test_others_are_not_let_in_without_a_password(options):
    with pytest.raises(InputError, match='lets others in: set a password'):
        sr_jax.app(**options)


def test_the_verb_says_so_too(capsys, monkeypatch):
    monkeypatch.delenv('SR_JAX_PASSWORD', raising=False)
    assert verbs.main(['app', '--host', '0.0.0.0']) == 1
    assert capsys.readouterr().err.startswith('error: --host 0.0.0.0 lets others in')


def test_without_gradio_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    with pytest.raises(InputError, match=r"pip install 'sr_jax\[app\]'"):
        sr_jax.app()


IMPORT = """
import pathlib, sys
from sr_jax.page.launch import import_gradio
read, finders = [], list(sys.meta_path)
original = pathlib.Path.read_text
def read_text(self, *args, **named):
    read.append(self)
    return original(self, *args, **named)
pathlib.Path.read_text = read_text
gradio = import_gradio()
assert sys.meta_path == finders
assert hasattr(gradio.Button, 'click') and hasattr(gradio.component_meta, 'create_or_modify_pyi')
print(sum(path.suffix == '.pyi' for path in read))
"""


def test_gradio_is_imported_without_a_look_at_its_stubs():
    pytest.importorskip('gradio')
    done = subprocess.run([sys.executable, '-c', IMPORT], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ('0\n', 0), done.stderr
