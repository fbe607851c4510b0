import pytest

from sr_jax.config.command_line import config_arguments, make_config_flags, parse_flags
from sr_jax.errors import InputError

CONFIG = """
from sr_jax.config.defaults import defaults

def get_config(variant=''):
    config = defaults('vqvae', model=variant or 'vqvae')
    config.train.steps = 3
    return config
"""


@pytest.fixture
def path(tmp_path):
    """A config file of somebody's own."""
    file = tmp_path / 'mine.py'
    file.write_text(CONFIG)
    return str(file)


def parse(*words):
    return parse_flags(['program', *words], make_config_flags).config


@pytest.mark.parametrize('key', ['model.zzzzzz', 'model.channels.zzzzzz'])
def test_a_key_that_is_like_none_is_told_with_where_all_are(key, path):
    with pytest.raises(InputError, match=r"has no key '[\w.]*zzzzzz': sr-jax config .* --all"):
        parse(f'--config={path}', f'--config.{key}=1')


def test_a_config_anywhere_is_read_with_its_changes_and_locked(path):
    config = parse(f'--config={path}', '--config.train.batch_size', '4')
    assert (config.train.steps, config.train.batch_size) == (3, 4)
    assert config.is_locked


def test_without_a_config_there_is_none():
    assert parse() is None


def test_what_a_config_asks_for_in_vain_is_one_line(path):
    with pytest.raises(InputError) as error:
        parse(f'--config={path}:vqva')
    message = str(error.value)
    assert message.startswith(f"--config {path}:vqva: config.model.name='vqva' is unknown")
    assert '\n' not in message


def test_the_config_is_named_once(path):
    assert config_arguments(['a', '--config', 'x.py', '--config.y=1', '-config=z.py']) == [
        'x.py',
        'z.py',
    ]
    with pytest.raises(InputError, match='--config is given 2 times'):
        parse(f'--config={path}', '--config', path)
