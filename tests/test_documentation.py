"""Every command and example of README.md and docs/ runs, small: see tests/documented/small.py.

Of the longest pages, commands and examples are read only, unless slow tests are asked for.
"""

import argparse
import importlib
import pathlib
import re
import shlex

import pytest
import tiny
from documented import small, workspace
from documented.blocks import blocks, commands

from sr_jax import __main__ as verbs
from sr_jax import main as training
from sr_jax import tasks
from sr_jax.commands import load_verb, train
from sr_jax.config import extension
from sr_jax.config.command_line import parse_flags
from sr_jax.errors import InputError
from sr_jax.pretrained import named
from sr_jax.training.settings import read_settings

ROOT = pathlib.Path(__file__).parents[1]
# README.md and the page on installing first; each text may use what those before it have trained.
TEXTS = (
    *('README.md', 'docs/index.md', 'docs/install.md', 'docs/super_resolution.md'),
    *('docs/esrgan.md', 'docs/video.md', 'docs/srflow.md', 'docs/vqvae.md', 'docs/prior.md'),
    *('docs/stylegan2.md', 'docs/switched_convolutions.md', 'docs/seeing.md', 'docs/upscale.md'),
    *('docs/film.md', 'docs/app.md'),
    *('docs/evaluate.md', 'docs/weights.md', 'docs/models.md', 'docs/configs.md'),
    *('docs/many_machines.md', 'docs/extending.md'),
    *('docs/from_dl_art_school.md', 'docs/speed.md', 'docs/notebooks.md'),
    'CONTRIBUTING.md',
)
TRAIN = 'python -m sr_jax.main --config'
# Whose verbs are tried by tests/commands too.
SLOW = {
    *('docs/super_resolution.md', 'docs/esrgan.md', 'docs/srflow.md', 'docs/prior.md'),
    *('docs/stylegan2.md', 'docs/switched_convolutions.md'),
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The folder that all commands share, in which they find what those before them left."""
    found = tmp_path_factory.mktemp('documented')
    workspace.make(found)
    stand_ins = workspace.weights(found / '.weights')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(named, 'find', lambda name, report=print: stand_ins[name])
        tiny.see_one_device(patch)
        yield found


@pytest.fixture(scope='module')
def done():
    """The commands that were run."""
    return set()


@pytest.mark.parametrize(
    'text', [pytest.param(text, marks=[pytest.mark.slow] * (text in SLOW)) for text in TEXTS]
)
def test_what_it_shows_runs(text, folder, done, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    if text in ('docs/film.md', 'docs/video.md'):
        pytest.importorskip('av')
    if text == 'docs/app.md':
        pytest.importorskip('gradio')
    for block in blocks((ROOT / text).read_text(encoding='utf-8')):
        where = f'{text}, line {block.line}'
        assert block.language in ('sh', 'python', 'text'), f'{where}: name the language of a block'
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding='utf-8')
        elif block.language == 'python':
            exec(compile(block.text, where, 'exec'), {'__name__': '__main__'})
        elif block.language == 'sh':
            for words in commands(block.text):
                if words[0] == 'export':
                    export(monkeypatch, *words[1:])
                elif tuple(words) not in done:
                    done.add(tuple(words))
                    run(words, where)
    capsys.readouterr()


@pytest.mark.parametrize('text', sorted(SLOW))
def test_what_a_long_page_shows_is_read(text, monkeypatch):
    monkeypatch.chdir(ROOT)
    for block in blocks((ROOT / text).read_text(encoding='utf-8')):
        where = f'{text}, line {block.line}'
        if block.language == 'python':
            compile(block.text, where, 'exec')
        elif block.language == 'sh':
            for words in commands(block.text):
                read(words, where)


def read(words, where):
    """Reads the arguments of a command as running it would do, and makes the task of a config."""
    if words[:3] == ['python', '-m', 'sr_jax.main']:
        values = parse_flags(['main', *words[3:]], train.make_flags)
        read_settings(values.config)
        tasks.make(values.config)
    elif words[:3] == ['python', '-m', 'sr_jax'] and not is_left_out(words):
        parser = argparse.ArgumentParser(exit_on_error=False)
        load_verb(words[3]).add_arguments(parser)
        parser.parse_args(words[4:])
    else:
        look_at(words, where)


def export(monkeypatch, setting):
    """Sets SR_JAX_PATH as for a process that begins with it: also for what is imported already."""
    name, _, value = setting.partition('=')
    assert name == extension.VARIABLE
    monkeypatch.setenv(name, value)
    for room in ('models', 'tasks', 'losses', 'pretrained', 'data.sources'):
        (pathlib.Path(value) / room.replace('.', '/')).mkdir(parents=True, exist_ok=True)
        package = importlib.import_module(f'sr_jax.{room}')
        path = extension.extend(package.__path__, package.__name__)
        monkeypatch.setattr(package, '__path__', path)


def run(words, where):
    """Runs a command, or looks at it where `small.NOT_RUN` says why it is not run."""
    if is_left_out(words):
        status = 0
        look_at(words, where)
    elif words[:3] == ['python', '-m', 'sr_jax.main']:
        status = training.main(['main', *shrunk(words[3:])])
    elif words[:3] == ['python', '-m', 'sr_jax'] or words[0] == 'sr-jax':
        status = verbs.main(words[1 if words[0] == 'sr-jax' else 3 :])
    else:
        status = 0
        look_at(words, where)
    assert status == 0, f'{where}: {" ".join(words)}'


def is_left_out(words):
    """Whether a command is in the table of those that are not run."""
    return f'{" ".join(words)} '.startswith(tuple(small.NOT_RUN))


def shrunk(words):
    """The arguments of a training with smaller numbers."""
    name = words[words.index('--config') + 1]
    stem = pathlib.Path(name.partition(':')[0]).stem
    variant = f'{stem}:{name.partition(":")[2]}'
    words = [small.INSTEAD.get(word, word) for word in words]
    smaller = (*small.TRAINING, *small.NETWORKS.get(variant, small.NETWORKS[stem]))
    given = {word.partition('=')[0] for word in words}
    return [*words, *(word for word in smaller if word.partition('=')[0] not in given)]


def look_at(words, where):
    """What a command that is not run names must be there."""
    line = ' '.join(words)
    reasons = [reason for begin, reason in small.NOT_RUN.items() if f'{line} '.startswith(begin)]
    assert reasons, f'{where}: {line} is neither run nor in the table of what is not'
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    for target in re.findall(r'\bmake ([\w-]+)', line):
        assert f'\n{target}:' in makefile, f'{where}: there is no make {target}'
    options = (ROOT / 'setup.cfg').read_text(encoding='utf-8')
    for extras in re.findall(r'(?:sr_jax|\.)\[([\w,-]+)\]', line):
        for extra in extras.split(','):
            assert f'\n{extra} =\n' in options, f'{where}: there is no extra {extra}'
    for file in re.findall(r'(?:-r |pytest |^)((?:tests|tools)/\S+|\S+\.txt)', line):
        assert (ROOT / file).exists(), f'{where}: there is no {file}'


def test_all_texts_are_run():
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / 'docs').glob('*.md')}
    assert there <= set(TEXTS)


def test_a_command_that_is_wrong_is_found():
    with pytest.raises(AssertionError, match='neither run nor'):
        look_at(['curl', 'x'], 'here')
    with pytest.raises(AssertionError, match='no make nonsense'):
        look_at(['make', 'nonsense'], 'here')
    with pytest.raises(AssertionError, match='no extra nonsense'):
        look_at(['pip', 'install', 'sr_jax[torch,nonsense]'], 'here')


def test_a_command_that_cannot_be_read_is_found():
    with pytest.raises(InputError, match='learning_rat'):
        read(shlex.split(f'{TRAIN} configs/vqvae.py --config.optimizer.learning_rat=1'), 'here')
    with pytest.raises(InputError, match='nonsense'):
        read(shlex.split(f'{TRAIN} configs/vqvae.py --config.task=nonsense'), 'here')
    with pytest.raises(argparse.ArgumentError, match='temperature'):
        read(shlex.split('python -m sr_jax upscale x.png --temperature warm'), 'here')


def test_blocks_and_commands_are_read():
    text = 'a\n```sh\nx --y \\\n    z  # why\n# only a remark\na && b "c d"\n```\n'
    text += '```python\nx = 1\n```\n'
    shell, python = blocks(text)
    assert (shell.language, shell.line, python.language) == ('sh', 2, 'python')
    assert commands(shell.text) == [['x', '--y', 'z'], ['a'], ['b', 'c d']]
