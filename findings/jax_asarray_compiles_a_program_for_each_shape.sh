#!/bin/sh
# jax.numpy.asarray compiles a program for each shape of a NumPy array that it is given; jax.device_put compiles none.
#
# Version:    jax 0.12.0.1, numpy 2.5.5, Python 3.13, 2026-11-30
# Expected:   that an array of numbers is put on the device, as by jax.device_put: there is nothing to compute. The
#             documentation of asarray says that it "will only copy when necessary", and of no program.
# Seen:       version 0.12.0.1
#             asarray: 20 programs compiled for arrays of 20 shapes
#             array: 20 programs compiled for arrays of 20 shapes
#             device_put: 0 programs compiled for arrays of 20 shapes
#             (the same with 0.10.2 and 0.11.2)
# Reported:   not yet
# With us:    a run that starts from weights compiled two programs for each shape of array, as jax.numpy.copy does the
#             same and then copies: NumPy copies them now, and device_put puts them (sr_jax/checkpoints/start_from.py)
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'jax 0.12.0.1 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'jax[cpu]==0.12.0.1' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import jax
import jax.numpy as jnp
import numpy as np

compiled = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **more: compiled.append(event)
    if event == '/jax/core/compile/backend_compile_duration'
    else None
)
print('version', jax.__version__)
for rows, (name, put) in enumerate(
    [('asarray', jnp.asarray), ('array', jnp.array), ('device_put', jax.device_put)], 3
):
    compiled.clear()
    for columns in range(1, 21):
        put(np.ones((rows, columns), np.float32))
    print(f'{name}: {len(compiled)} programs compiled for arrays of 20 shapes')
END
JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/show.py" > "$folder/seen"
cat "$folder/seen"
cat > "$folder/before" <<'END'
version 0.12.0.1
asarray: 20 programs compiled for arrays of 20 shapes
array: 20 programs compiled for arrays of 20 shapes
device_put: 0 programs compiled for arrays of 20 shapes
END
cmp -s "$folder/seen" "$folder/before"
