#!/bin/sh
# Runs the tests under the oldest and the newest Python that sr_jax supports, each with the newest JAX
# that there is for it, and prints a table.
#
#   tools/supported_versions.sh                 all tests but the slow ones, 20 minutes for each Python
#   tools/supported_versions.sh tests/layers    or whatever else is to be given to pytest
#   ONLY=oldest tools/supported_versions.sh     one of the two: oldest or newest
#
# Each Python gets a new environment, made of the requirements alone, and a copy of the files that git
# knows, as they are now: neither packages nor files of this machine can help. Both are removed at the
# end. The exit status is 1 if a Python is missing, or an installation or a test fails.
set -eu
cd "$(dirname "$0")/.."

only=${ONLY:-both}
case $only in
    both | oldest | newest) ;;
    *) echo "ONLY=$only: take oldest or newest, or leave it out for both" >&2; exit 1 ;;
esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
table="$folder/table"
status=0

# row PYTHON RESULT: adds a line to the table, with the versions that PYTHON has of what matters.
row() {
    "$1" - "$2" >>"$table" <<'END'
import importlib.metadata, platform, sys

names = ('jax', 'jaxlib', 'flax', 'numpy', 'optax', 'orbax-checkpoint', 'grain', 'pillow')
found = {d.metadata['Name'].lower(): d.version for d in importlib.metadata.distributions()}
versions = [found.get(name, '-') for name in names]
print('|', ' | '.join([platform.python_version(), *versions, sys.argv[1]]), '|')
END
}

# try_python VERSIONS PYTEST_ARGUMENTS...: all that is done with one Python.
try_python() {
    base=$(tools/find_python.sh "$1") || return 1
    shift
    copy="$folder/$("$base" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    mkdir "$copy"
    git ls-files -z | xargs -0 tar -cf - -- | tar -xf - -C "$copy"
    "$base" -m venv "$copy/.venv"
    python="$copy/.venv/bin/python"
    echo "$("$base" --version): installing the requirements" >&2
    if ! (cd "$copy" && "$python" -m pip install -qq --disable-pip-version-check \
        --requirement requirements.txt --editable '.[test]') >&2; then
        row "$python" 'not installed'
        return 1
    fi
    echo "$("$base" --version): running the tests" >&2
    result=0
    (cd "$copy" && "$python" -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder "$@") \
        >"$copy.log" 2>&1 || result=$?
    tail -n 20 "$copy.log" >&2
    row "$python" "$(tail -n 1 "$copy.log" | tr -d '=|')"
    return "$result"
}

[ "$only" = newest ] || try_python 3.11 "$@" || status=1
[ "$only" = oldest ] || try_python '3.14 3.13 3.12' "$@" || status=1

echo '| Python | jax | jaxlib | flax | numpy | optax | orbax | grain | pillow | tests |'
echo '|---|---|---|---|---|---|---|---|---|---|'
[ ! -e "$table" ] || cat "$table"
exit "$status"
