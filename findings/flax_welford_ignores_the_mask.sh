#!/bin/sh
# The padding of a last batch counts in Flax's nnx.metrics.Welford, whatever the mask says. In a MultiMetric, which hands
# one mask to all of its metrics, an average beside it leaves the padding out: two means of the same losses, and a
# deviation that is mostly of zeros. Nothing is raised; outside of a MultiMetric it is the same.
#
# Version:    flax 0.12.12, jax 0.12.0.1, numpy 2.5.5, Python 3.13, 2026-11-30
# Expected:   mean 3 and deviation 1 from both, as of the values 2 and 4 alone, or an exception. The documentation of
#             MultiMetric.update says of what it is given: "It can contain mask argument as mask to be passed to the
#             underlying metrics." Average and Accuracy heed it.
# Seen:       version 0.12.12
#             Average of 2, 4, masked: 3.0
#             Welford of 2, 4, masked: mean 1.5, deviation 1.658
#             Welford of 2, 4 alone: mean 3.0, deviation 1.000
# Reported:   not yet
# With us:    nothing depends on it: validation sums up by itself (sr_jax/training/validation.py)
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'flax==0.12.12' 'jax==0.12.0.1' 'jaxlib==0.12.0.1' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import flax
import jax.numpy as jnp
from flax import nnx


def describe(found):
    return f'mean {found.mean:.1f}, deviation {found.standard_deviation:.3f}'


print('version', flax.__version__)
metrics = nnx.MultiMetric(average=nnx.metrics.Average(), welford=nnx.metrics.Welford())
metrics.update(values=jnp.array([2.0, 4.0, 0.0, 0.0]), mask=jnp.array([True, True, False, False]))
print(f'Average of 2, 4, masked: {metrics.average.compute():.1f}')
print('Welford of 2, 4, masked:', describe(metrics.welford.compute()))
alone = nnx.metrics.Welford()
alone.update(values=jnp.array([2.0, 4.0]))
print('Welford of 2, 4 alone:', describe(alone.compute()))
END

found=$(JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 0.12.12
Average of 2, 4, masked: 3.0
Welford of 2, 4, masked: mean 1.5, deviation 1.658
Welford of 2, 4 alone: mean 3.0, deviation 1.000'
