"""The commands and the Python examples that a Markdown text shows."""

import re
import shlex
from typing import NamedTuple


class Block(NamedTuple):
    """A fenced block.

    Attributes:
      language: '' where none is named.
      text: what it holds.
      line: its number in the text.
      file: the path that its first line names in a comment, of a block that is a file; else ''.
    """

    language: str
    text: str
    line: int
    file: str = ''


def blocks(markdown: str) -> list[Block]:
    """All fenced blocks, in order."""
    found = re.finditer(r'^```(\w*)\n(.*?)^```$', markdown, re.DOTALL | re.MULTILINE)
    return [
        Block(m[1], m[2], markdown.count('\n', 0, m.start()) + 1, _file_of(m[2])) for m in found
    ]


def _file_of(text: str) -> str:
    named = re.match(r'# (\S+/\S+\.py)\n', text)
    return named[1] if named else ''


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
