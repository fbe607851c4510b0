#!/bin/sh
# flax.serialization restores an array of big-endian numbers with its bytes swapped, as other numbers of the same type.
#
# Version:    flax 0.12.12, jax 0.12.0.1, numpy 2.5.5, Python 3.13, 2026-11-29
# Expected:   the numbers that were saved, or an exception. msgpack_serialize says that it takes trees of array leaves,
#             and to_bytes gives bytes of them; neither names a byte order. What is refused is arrays of objects and of
#             aligned fields, as the note on the format in the source says ("only simple ndarray types are supported"),
#             and an array of '>f4' is neither. Such arrays are what NumPy makes of files with big-endian numbers, as
#             PFM and FITS. JAX refuses them with a TypeError; Flax writes the type by its name, float32, which both
#             orders share, and the bytes as they lie in memory. The template of from_bytes does not help.
# Seen:       version 0.12.12
#             <u2: saved [1, 2, 258]
#                 msgpack_restore: uint16, 1, 2, 258
#                 from_bytes: uint16, 1, 2, 258
#             >u2: saved [1, 2, 258]
#                 msgpack_restore: uint16, 256, 512, 513
#                 from_bytes: uint16, 256, 512, 513
#             <f4: saved [1.0, 2.0, 258.0]
#                 msgpack_restore: float32, 1, 2, 258
#                 from_bytes: float32, 1, 2, 258
#             >f4: saved [1.0, 2.0, 258.0]
#                 msgpack_restore: float32, 4.601e-41, 8.968e-44, 4.637e-41
#                 from_bytes: float32, 4.601e-41, 8.968e-44, 4.637e-41
# Reported:   not yet
# With us:    nothing depends on it: sr_jax writes its checkpoints by orbax
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'flax 0.12.12 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'flax==0.12.12' 'jax==0.12.0.1' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import flax
import numpy as np
from flax import serialization

print('version', flax.__version__)
for kind in ('<u2', '>u2', '<f4', '>f4'):
    mean = np.frombuffer(np.array([1, 2, 258]).astype(kind).tobytes(), kind)
    low = serialization.msgpack_restore(serialization.msgpack_serialize({'mean': mean}))['mean']
    high = serialization.from_bytes({'mean': mean}, serialization.to_bytes({'mean': mean}))['mean']
    print(f'{kind}: saved {mean.tolist()}')
    for name, array in (('msgpack_restore', low), ('from_bytes', high)):
        print(f'    {name}: {array.dtype}, {", ".join(f"{number:.4g}" for number in array.tolist())}')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 0.12.12
<u2: saved [1, 2, 258]
    msgpack_restore: uint16, 1, 2, 258
    from_bytes: uint16, 1, 2, 258
>u2: saved [1, 2, 258]
    msgpack_restore: uint16, 256, 512, 513
    from_bytes: uint16, 256, 512, 513
<f4: saved [1.0, 2.0, 258.0]
    msgpack_restore: float32, 1, 2, 258
    from_bytes: float32, 1, 2, 258
>f4: saved [1.0, 2.0, 258.0]
    msgpack_restore: float32, 4.601e-41, 8.968e-44, 4.637e-41
    from_bytes: float32, 4.601e-41, 8.968e-44, 4.637e-41'
