#!/bin/sh
# Grain's shuffle within windows of a MapDataset leaves elements out, and gives others twice, if the last is not full.
#
# Version:    grain 0.2.18, Python 3.13, 2026-11-29
# Expected:   each of the ten elements once, as of WindowShuffleIterDataset and of MapDataset.shuffle. The docstring of
#             WindowShuffleMapDataset says that it shuffles the parent dataset within windows, each unique index
#             becoming exactly one shuffled index, with the guarantee that none is repeated within a window; it does
#             not say that the window must divide the length. The last window, of elements 8 and 9, is shuffled as if
#             it had four: indices 10 and 11 are elements 0 and 1 of the next epoch.
# Seen:       version 0.2.18
#             map, 12 elements: [1, 2, 3, 0, 4, 7, 5, 6, 10, 11, 8, 9], never [], twice []
#             iter, 12 elements: [0, 3, 2, 1, 6, 5, 7, 4, 9, 8, 11, 10], never [], twice []
#             whole, 12 elements: [11, 7, 6, 0, 4, 8, 9, 2, 10, 3, 1, 5], never [], twice []
#             map, 10 elements: [1, 2, 3, 0, 4, 7, 5, 6, 0, 1], never [8, 9], twice [0, 1]
#             iter, 10 elements: [0, 3, 2, 1, 6, 5, 7, 4, 9, 8], never [], twice []
#             whole, 10 elements: [5, 7, 6, 0, 4, 8, 9, 2, 1, 3], never [], twice []
# Reported:   not yet
# With us:    nothing depends on it: sr_jax/data/pipeline.py draws crops by itself
set -eu

"${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo 'grain 0.2.18 needs Python 3.11 or newer: PYTHON=/path/to/python3.12 names one' >&2
    exit 2
}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary :all: 'grain==0.2.18' || exit 1

cat > "$folder/show.py" <<'END'
import importlib.metadata

import grain

SEED, WINDOW = 1, 4


def describe(elements, length):
    never = sorted(set(range(length)) - set(elements))
    twice = sorted({element for element in elements if elements.count(element) > 1})
    return f'{elements}, never {never}, twice {twice}'


print('version', importlib.metadata.version('grain'))
for length in (12, 10):
    dataset = grain.MapDataset.range(length)
    windows = grain.experimental.WindowShuffleMapDataset(dataset, window_size=WINDOW, seed=SEED)
    streamed = grain.experimental.WindowShuffleIterDataset(dataset.to_iter_dataset(), window_size=WINDOW, seed=SEED)
    print(f'map, {length} elements: {describe(list(windows), length)}')
    print(f'iter, {length} elements: {describe(list(streamed), length)}')
    print(f'whole, {length} elements: {describe(list(dataset.shuffle(SEED)), length)}')
END

found=$("$folder/venv/bin/python" "$folder/show.py")
echo "$found"
test "$found" = 'version 0.2.18
map, 12 elements: [1, 2, 3, 0, 4, 7, 5, 6, 10, 11, 8, 9], never [], twice []
iter, 12 elements: [0, 3, 2, 1, 6, 5, 7, 4, 9, 8, 11, 10], never [], twice []
whole, 12 elements: [11, 7, 6, 0, 4, 8, 9, 2, 10, 3, 1, 5], never [], twice []
map, 10 elements: [1, 2, 3, 0, 4, 7, 5, 6, 0, 1], never [8, 9], twice [0, 1]
iter, 10 elements: [0, 3, 2, 1, 6, 5, 7, 4, 9, 8], never [], twice []
whole, 10 elements: [5, 7, 6, 0, 4, 8, 9, 2, 1, 3], never [], twice []'
