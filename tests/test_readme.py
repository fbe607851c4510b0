"""What README.md shows is there and runs."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text(encoding='utf-8')


def test_the_library_example_runs():
    (example,) = re.findall(r'```python\n(.*?)```', README, re.DOTALL)
    names = {}
    exec(compile(example, 'README.md', 'exec'), names)
    assert names['output'].image.shape == (1, 64, 64, 3)
    assert 'codebook' in names['updated']


def test_every_linked_file_is_there():
    links = re.findall(r'\]\(([^)#]+)\)', README)
    assert len(links) >= 4
    missing = [x for x in links if not x.startswith('http') and not (ROOT / x).exists()]
    assert not missing


def test_every_command_names_a_config_and_a_target_that_exist():
    configs = re.findall(r'configs/\w+\.py', README)
    assert configs
    assert all((ROOT / config).exists() for config in configs)
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    for target in re.findall(r'^make (\w+)', README, re.MULTILINE):
        assert f'\n{target}:' in makefile
