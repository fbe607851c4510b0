#!/bin/sh
# Orbax' CheckpointManager that is to keep the best checkpoint deletes it for one whose metric is NaN, calls that the
# best, and gives its place to whichever comes next, however bad. Nothing is raised or logged. Who trains over night for
# the best PSNR finds the weights of the step that diverged, or those after it, and the good ones gone.
#
# Version:    orbax-checkpoint 0.12.8, jax 0.12.0.1, numpy 2.5.5, Python 3.13, 2026-12-01
# Expected:   the greatest numbers kept, and NaN taken for the worst or refused when it is saved: the documentation says
#             that with best_fn checkpoints are maintained "based on the quality of given metrics rather than recency",
#             and of max_to_keep that they "will be kept based on their quality". The policy BestN does the same. Both
#             sort the numbers, among which NaN has no place, so that those before and after it are not compared. Others
#             have met this: Ray takes NaN for the worst since 2022 (ray-project/ray issue 23856). The metric is a PSNR,
#             and the last lines are without a NaN.
# Seen:       version 0.12.8
#             30 32 nan:
#                 max_to_keep=1: kept nan, the best is nan
#                 BestN, n=1: kept nan
#                 max_to_keep=3: kept 30 32 nan, the best is nan
#                 BestN, n=3: kept 30 32 nan
#             30 32 nan 29:
#                 max_to_keep=1: kept 29, the best is 29
#                 BestN, n=1: kept 29
#                 max_to_keep=3: kept 32 nan 29, the best is 29
#                 BestN, n=3: kept 32 nan 29
#             30 31 32 33 nan 29 28:
#                 max_to_keep=1: kept 29, the best is 29
#                 BestN, n=1: kept 29
#                 max_to_keep=3: kept 33 nan 29, the best is 29
#                 BestN, n=3: kept 33 nan 29
#             30 32 31 29:
#                 max_to_keep=1: kept 32, the best is 32
#                 BestN, n=1: kept 32
#                 max_to_keep=3: kept 30 32 31, the best is 32
#                 BestN, n=3: kept 30 32 31
# Reported:   not yet
# With us:    sr_jax/checkpoints/retention.py gives the worst number to BestN in place of NaN
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || {
    echo 'numpy 2.5.5 needs Python 3.12 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: \
    'orbax-checkpoint==0.12.8' 'jax==0.12.0.1' 'jaxlib==0.12.0.1' 'numpy==2.5.5' || exit 1

cat > "$folder/show.py" <<'END'
import logging
import math
import tempfile

import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

NAN = math.nan
WEIGHTS = {'kernel': np.ones(3, np.float32)}


def psnr(metrics):
    return metrics['psnr']


def run(metrics, **options):
    """Which steps are there in the end, by what they had, and which is called the best."""
    options = ocp.CheckpointManagerOptions(enable_async_checkpointing=False, **options)
    with tempfile.TemporaryDirectory() as folder, ocp.CheckpointManager(folder, options=options) as manager:
        for step, metric in enumerate(metrics):
            manager.save(step, args=ocp.args.StandardSave(WEIGHTS), metrics={'psnr': metric})
        kept = ' '.join(f'{metrics[step]:g}' for step in manager.all_steps())
        best = f', the best is {metrics[manager.best_step()]:g}' if options.best_fn else ''
        return f'kept {kept}{best}'


logging.disable(logging.WARNING)
print('version', ocp.__version__)
for metrics in ((30, 32, NAN), (30, 32, NAN, 29), (30, 31, 32, 33, NAN, 29, 28), (30, 32, 31, 29)):
    print(f'{" ".join(f"{metric:g}" for metric in metrics)}:')
    for many in (1, 3):
        policy = preservation_policy.BestN(get_metric_fn=psnr, n=many)
        print(f'    max_to_keep={many}:', run(metrics, best_fn=psnr, max_to_keep=many))
        print(f'    BestN, n={many}:', run(metrics, preservation_policy=policy))
END

found=$(JAX_PLATFORMS=cpu "$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 0.12.8
30 32 nan:
    max_to_keep=1: kept nan, the best is nan
    BestN, n=1: kept nan
    max_to_keep=3: kept 30 32 nan, the best is nan
    BestN, n=3: kept 30 32 nan
30 32 nan 29:
    max_to_keep=1: kept 29, the best is 29
    BestN, n=1: kept 29
    max_to_keep=3: kept 32 nan 29, the best is 29
    BestN, n=3: kept 32 nan 29
30 31 32 33 nan 29 28:
    max_to_keep=1: kept 29, the best is 29
    BestN, n=1: kept 29
    max_to_keep=3: kept 33 nan 29, the best is 29
    BestN, n=3: kept 33 nan 29
30 32 31 29:
    max_to_keep=1: kept 32, the best is 32
    BestN, n=1: kept 32
    max_to_keep=3: kept 30 32 31, the best is 32
    BestN, n=3: kept 30 32 31'
