"""Pages that MkDocs makes of what is written elsewhere: docstrings, and the texts beside README.md.

MkDocs calls `on_files` before it builds (mkdocs.yml names this file).
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
API = """# API

What the docstrings say, a page a room:

{rooms}

Images are NHWC, float32 in [0, 1], at every public door. What a user gave and cannot be used
raises `sr_jax.errors.InputError`, whose message names the thing and the remedy.
"""
KERNELS = '`kernels` here is imported as `sr_jax.kernels`.\n\n'


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    pages = {**reference(), **texts()}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def reference() -> dict[str, str]:
    """The pages of the API by their paths: one a room, listing its modules."""
    pages = {}
    for folder in sorted(path.parent for path in (ROOT / 'sr_jax').glob('*/__init__.py')):
        pages[f'api/{folder.name}.md'] = _page(folder.name, modules(folder))
    pages['api/kernels.md'] = _page('kernels', modules(ROOT / 'kernels'), KERNELS)
    rooms = '\n'.join(f'- [{name[4:-3]}]({name[4:]})' for name in pages)
    return {'api/index.md': API.format(rooms=rooms), **pages}


def modules(folder: Path) -> list[str]:
    """The modules of a folder that have something public to say, by their names for import."""
    found = folder.rglob('*.py')
    public = (path for path in found if path.stem not in ('__init__', '__main__'))
    return sorted('.'.join(path.relative_to(ROOT).with_suffix('').parts) for path in public)


def texts() -> dict[str, str]:
    """The texts in the repository's root, and the kernels' own, as pages; README is not one."""
    sources = [path for path in ROOT.glob('*.md') if path.name != 'README.md']
    names = {path.name: f'{path.stem.lower()}.md' for path in sources}
    names['kernels/switched_conv/README.md'] = 'kernels.md'
    names['README.md'] = 'index.md'
    texts = {names[path.name]: path for path in sources}
    texts['kernels.md'] = ROOT / 'kernels' / 'switched_conv' / 'README.md'
    return {page: relinked(path.read_text(encoding='utf-8'), names) for page, path in texts.items()}


def relinked(text: str, names: dict[str, str]) -> str:
    """A text of the root with links that hold among the pages.

    Links to other texts lead to their pages, those into docs/ lose that folder, those to the web
    and within the page stay, and of those to files that are no page only the words are kept.
    """

    def link(match: re.Match) -> str:
        image, words, target = match.groups()
        path, hash_sign, anchor = target.partition('#')
        if not path or re.match(r'\w+:', target):
            return match[0]
        if path.startswith('docs/'):
            return f'{image}[{words}]({path.removeprefix("docs/")}{hash_sign}{anchor})'
        if path in names:
            return f'{image}[{words}]({names[path]}{hash_sign}{anchor})'
        return words

    return re.sub(r'(!?)\[([^\]]*)\]\(([^)\s]+)\)', link, text)


def _page(title: str, names: list[str], beginning: str = '') -> str:
    return f'# {title}\n\n{beginning}' + '\n\n'.join(f'::: {name}' for name in names) + '\n'
