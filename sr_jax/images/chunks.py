"""The chunks of a PNG, so far as to leave some of them out."""

import struct

_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_METADATA = (b'tEXt', b'zTXt', b'iTXt', b'iCCP', b'eXIf')


def without_metadata(encoded: bytes) -> bytes | None:
    """A PNG without its texts, profile and EXIF; None of another file, or where it has none."""
    if not encoded.startswith(_SIGNATURE):
        return None
    kept, at = [_SIGNATURE], len(_SIGNATURE)
    while at + 8 <= len(encoded):
        length, kind = struct.unpack_from('>I4s', encoded, at)
        end = at + 12 + length
        if kind not in _METADATA:
            kept.append(encoded[at:end])
        at = end
    bare = b''.join(kept)
    return bare if len(bare) < len(encoded) else None
