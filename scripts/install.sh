#!/bin/sh
# install.sh VENV LOCK...: this project, editable, in the virtual environment VENV, with exactly what the locks name.
# PYTHON=... chooses the interpreter of a new environment.
set -eu

venv=$1
shift

works() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

makes_environments() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# 3.12 is the newest Python for which a Redis server comes as a package (the extra "embedded").
choose() {
    incomplete=
    for name in ${PYTHON:-python3.12 python3.11 python3.13 python3}; do
        works "$name" || continue
        if makes_environments "$name"; then
            command -v "$name"
            return
        fi
        incomplete=${incomplete:-$name}
    done
    if [ -n "$incomplete" ]; then
        version=$("$incomplete" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        fail "$incomplete cannot make virtual environments: its modules venv and ensurepip are missing." \
            "On Debian or Ubuntu: apt install python$version-venv"
    fi
    fail "No Python 3.11, 3.12 or 3.13 found${PYTHON:+ as $PYTHON}." \
        "Install one (Debian or Ubuntu: apt install python3 python3-venv), or name one: make PYTHON=/path/to/python3 ..."
}

if ! works "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(choose)
    echo "Making $venv with $("$python" --version) ($python)"
    "$python" -m venv --clear "$venv"
fi

requirements=
for lock in "$@"; do
    requirements="$requirements -r $lock"
done
# shellcheck disable=SC2086 # several words
count=$(cat "$@" | { n=0; while read -r line; do case $line in [A-Za-z0-9]*) n=$((n + 1)) ;; esac; done; echo "$n"; })
echo "Installing up to $count packages from $* into $venv (the first time this takes about a minute)"
# The locks name everything. Left to resolve, pip up to at least 23.2 takes a newer release of a package that is
# locked with an extra for one without a hash, and refuses.
# shellcheck disable=SC2086 # several words
"$venv/bin/python" -m pip install --quiet --no-deps --require-hashes $requirements
"$venv/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
# Where PYTHONDONTWRITEBYTECODE is set, as in many containers, every start would compile everything again.
"$venv/bin/python" -m compileall -q agents artifacts contracts migrations multi_agent orchestrator planner_service \
    sandbox_runner
