"""The commands and the Python examples that a Markdown text shows."""

import re
import shlex
from typing import NamedTuple


class Block(NamedTuple):
    """A fenced block: its language ('' where none is named), its text, the number of its line."""

    language: str
    text: str
    line: int


def blocks(markdown: str) -> list[Block]:
    """All fenced blocks, in order."""
    found = re.finditer(r'^```(\w*)\n(.*?)^```$', markdown, re.DOTALL | re.MULTILINE)
    return [Block(m[1], m[2], markdown.count('\n', 0, m.start()) + 1) for m in found]


def commands(text: str) -> list[list[str]]:
    """The commands of a block for the shell as words, without comments; `a && b` are two."""
    found: list[list[str]] = []
    for line in re.sub(r'\\\n\s*', '', text).splitlines():
        words = shlex.split(line, comments=True)
        while '&&' in words:
            at = words.index('&&')
            found.append(words[:at])
            words = words[at + 1 :]
        found.append(words)
    return [words for words in found if words]
