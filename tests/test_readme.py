"""What README.md points to is there, and CITATION.cff says what it must.

Its commands and examples are run by test_documentation.py.
"""

import pathlib
import re

import pytest
import yaml

import sr_jax

ROOT = pathlib.Path(__file__).parents[1]


def anchors(path: pathlib.Path) -> set[str]:
    """The anchors of a Markdown file's headings, as GitHub makes them."""
    headings = re.findall(r'^#+ (.*)$', path.read_text(encoding='utf-8'), re.MULTILINE)
    words = (re.sub(r'[^\w\- ]', '', heading.lower()) for heading in headings)
    return {heading.replace(' ', '-') for heading in words}


@pytest.mark.parametrize('name', ['README.md', 'CONTRIBUTING.md', 'RESULTS.md', 'BENCHMARKS.md'])
def test_every_link_leads_somewhere(name):
    text = (ROOT / name).read_text(encoding='utf-8')
    links = [x for x in re.findall(r'\]\(([^)\s]+)\)', text) if not x.startswith('http')]
    assert name != 'README.md' or len(links) >= 15
    for link in links:
        path, _, anchor = link.partition('#')
        target = ROOT / (path or name)
        assert target.exists(), f'{name}: {link}'
        assert not anchor or anchor in anchors(target), f'{name}: {link}'


def test_the_citation_is_of_this_version():
    found = yaml.safe_load((ROOT / 'CITATION.cff').read_text(encoding='utf-8'))
    assert {'cff-version', 'message', 'title', 'authors'} <= found.keys()
    assert (found['cff-version'], found['type']) == ('1.2.0', 'software')
    assert str(found['version']) == sr_jax.__version__
    assert found['license'] == 'Apache-2.0'
    for work in (found, *found['references']):
        assert work['title'] and work['authors']
        names = [set(author) & {'name', 'alias', 'family-names'} for author in work['authors']]
        assert all(names)
    articles = [work for work in found['references'] if work['type'] == 'article']
    assert all(work['url'].startswith('https://arxiv.org/abs/') for work in articles)
