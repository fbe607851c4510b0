#!/bin/sh
# Prints the path of the newest Python that sr_jax supports and that really runs; with an argument, of
# a Python of one of these versions, the first preferred: find_python.sh '3.12 3.11'.
#
# A name on the PATH proves little: pyenv leaves shims for versions that are not active (they exit
# 127), Debian ships a python3 without venv, and a Python built by hand may lack ssl. So every
# candidate first runs a short program that imports what the environment will need.
set -eu

probe='import ctypes, ensurepip, ssl, sys, venv; print("%d.%d" % sys.version_info[:2])'

# runs PYTHON VERSION: whether PYTHON is there, starts, has what we need, and is that version.
runs() {
    [ -x "$1" ] && [ "$("$1" -c "$probe" 2>/dev/null)" = "$2" ]
}

# The PATH comes first, then the versions that pyenv has installed, active or not.
# The newest version is preferred, but 3.14 is the last choice: every dependency has wheels for it,
# and yet the tests have not run there.
versions=${1:-3.13 3.12 3.11 3.14}

find_python() {
    for version in $versions; do
        IFS=:  # of the PATH; the versions are split already
        for folder in $PATH "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/*/bin; do
            for name in "python$version" python3 python; do
                if runs "$folder/$name" "$version"; then
                    printf '%s\n' "$folder/$name"
                    return 0
                fi
            done
        done
    done
    return 1
}

find_python && exit 0

printf '%s\n' >&2 \
    "error: found no Python ${1:-3.11 to 3.14} that runs and has ssl, ctypes, venv and ensurepip." \
    'Install one (Debian, Ubuntu: apt-get install python3 python3-venv; pyenv: pyenv install 3.13)' \
    'or name one: make BASE_PYTHON=/path/to/python3 ...'
exit 1
