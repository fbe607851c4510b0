"""Strategies that damage what is valid: bytes, chunks of PNGs, words of a text, arrays by name."""

import struct
import zlib

import numpy as np
from hypothesis import strategies as st

PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
NUMBERS = (0, 1, 2, 3, 255, 256, 65535, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63)
LITERALS = (
    *('', '0', '-1', '1e400', 'nan', '-inf', '9' * 5000, '1.5', 'True', 'None', "'", '()', '(1,'),
    *('[]', '{}', "{'a': 1}", '1=2', '=', '../../x', '/x', '\0', 'é', '𝟙', '__class__', ' '),
    *("__import__('os').system('touch hostile')", '%s', '{0}', '(' * 300, '-23300=1', '2**31'),
)

places = st.floats(0, 1, exclude_max=True)
nasty = st.one_of(
    st.binary(max_size=6),
    st.builds(
        lambda form, number: struct.pack(form, number % 2 ** (8 * struct.calcsize(form))),
        st.sampled_from(['<B', '>B', '<H', '>H', '<I', '>I', '<Q', '>Q']),
        st.sampled_from(NUMBERS),
    ),
)
edits = st.lists(
    st.one_of(
        st.tuples(st.just('set'), places, nasty),
        st.tuples(st.just('insert'), places, nasty),
        st.tuples(st.just('cut'), places, st.integers(1, 64)),
        st.tuples(st.just('repeat'), places, st.integers(1, 64)),
        st.tuples(st.just('end'), places, st.just(0)),
    ),
    max_size=5,
)


def edited(data: bytes, changes) -> bytes:
    """The bytes with the changes of `edits` made one after the other."""
    for kind, place, what in changes:
        at = int(place * len(data))
        if kind == 'set':
            data = data[:at] + what + data[at + len(what) :]
        elif kind == 'insert':
            data = data[:at] + what + data[at:]
        elif kind == 'cut':
            data = data[:at] + data[at + what :]
        elif kind == 'repeat':
            data = data[: at + what] + data[at:]
        else:
            data = data[:at]
    return data


def damaged(seeds) -> st.SearchStrategy[bytes]:
    """One of the valid byte strings, damaged anywhere."""
    valid = list(seeds)  # by number, since Hypothesis writes out what it draws from
    numbers = st.integers(0, len(valid) - 1)
    return st.builds(lambda number, changes: edited(valid[number], changes), numbers, edits)


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of each chunk of a valid PNG."""
    found, at = [], len(PNG_SIGNATURE)
    while at < len(data):
        (size,) = struct.unpack('>I', data[at : at + 4])
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += size + 12
    return found


def png_of(chunks) -> bytes:
    """A PNG of these chunks, with right lengths and checksums."""
    framed = (
        struct.pack('>I', len(content))
        + kind
        + content
        + struct.pack('>I', zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return PNG_SIGNATURE + b''.join(framed)


def _unpacked(content: bytes) -> bytes:
    try:
        return zlib.decompress(content)
    except zlib.error:  # it was damaged already
        return content


@st.composite
def damaged_pngs(draw, seeds):
    """A PNG damaged inside of its chunks, whose checksums are right again."""
    chunks = png_chunks(draw(st.sampled_from(list(seeds))))
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(chunks) - 1))
        kind, content = chunks[number]
        what = draw(st.sampled_from(['edit', 'edit', 'unpacked', 'twice', 'gone']))
        if what == 'twice':
            chunks.insert(number, chunks[number])
        elif what == 'gone' and len(chunks) > 1:
            del chunks[number]
        elif what == 'unpacked' and kind == b'IDAT':
            chunks[number] = (kind, zlib.compress(edited(_unpacked(content), draw(edits))))
        else:
            chunks[number] = (kind, edited(content, draw(edits)))
    return png_of(chunks)


@st.composite
def damaged_words(draw, text: str) -> str:
    """A text whose words and lines were replaced, left out, repeated or exchanged."""
    lines = [line.split(' ') for line in text.splitlines()]
    for _ in range(draw(st.integers(1, 4))):
        line = draw(st.integers(0, len(lines) - 1))
        word = draw(st.integers(0, len(lines[line]) - 1))
        what = draw(st.sampled_from(['word', 'word', 'number', 'number', 'gone', 'twice', 'line']))
        if what == 'word':
            lines[line][word] = draw(st.sampled_from(LITERALS) | st.text(max_size=4))
        elif what == 'number':
            key = lines[line][word].partition('=')[0]
            number = draw(st.sampled_from([*map(str, NUMBERS), *LITERALS]))
            lines[line][word] = f'{key}={number}'
        elif what == 'gone':
            lines[line][word : word + 1] = []
            lines[line] = lines[line] or ['']
        elif what == 'twice':
            lines[line].insert(word, lines[line][word])
        else:
            lines.insert(draw(st.integers(0, len(lines))), list(lines[line]))
    return '\n'.join(' '.join(line) for line in lines)


NAMES = ('', '/', 'a', 'a/b', '/'.join('a' * 3000), '../../a', 'params', 'params/kernel', '\0', 'é')


@st.composite
def damaged_states(draw, states):
    """Arrays by name, some of them missing, renamed, of another shape, type or number."""
    state = dict(draw(st.sampled_from(list(states))))
    for _ in range(draw(st.integers(1, 3))):
        if not state:
            break
        name = draw(st.sampled_from(sorted(state)))
        value = state[name]
        what = draw(
            st.sampled_from(['name', 'shape', 'flat', 'type', 'size', 'gone', 'new', 'nan'])
        )
        if what == 'name':
            state[draw(st.sampled_from((*NAMES, f'{name}.x', f'{name}/x')))] = state.pop(name)
        elif what == 'shape':
            state[name] = value.reshape(value.shape[::-1])
        elif what == 'flat':
            state[name] = value.reshape(draw(st.sampled_from([(-1,), (1, -1), (-1, 1, 1, 1, 1)])))
        elif what == 'type':
            kind = draw(st.sampled_from(['f2', 'f8', 'i1', 'u1', 'i8', '?']))
            state[name] = value.astype(kind)
        elif what == 'size':
            shape = draw(st.lists(st.integers(0, 5), max_size=6))
            state[name] = np.zeros(shape, value.dtype)
        elif what == 'gone':
            del state[name]
        elif what == 'new':
            state[draw(st.sampled_from(NAMES))] = np.zeros((), np.float32)
        else:
            state[name] = np.full(value.shape, np.nan, np.float32)
    return state
