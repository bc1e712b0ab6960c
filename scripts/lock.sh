#!/bin/sh
# lock.sh [UV OPTION...]: write requirements/*.lock from pyproject.toml. Needs uv; UV=... says where it is.
# One resolution for every Python and platform; each lock is a part of dev.lock, plus build.lock with the build backend.
set -eu
cd "$(dirname "$0")/.."

uv=${UV:-uv}
if ! command -v "$uv" >/dev/null; then
    echo "uv is not installed: pip install uv" >&2
    exit 1
fi

compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-strip-extras \
        --no-emit-index-url --no-emit-find-links --annotation-style line "$@" >/dev/null
}

part() {
    name=$1
    shift
    compile pyproject.toml -c requirements/dev.lock "$@" -o "requirements/$name.lock"
}

# Every extra but `bench`: what ours is measured against is not developed with.
compile pyproject.toml "$@" --extra dev --extra embedded --extra postgres --extra gemini --extra gemini-legacy \
    --extra openai --extra anthropic --extra gateway --extra rollout --extra otel --extra map --extra checks \
    -o requirements/dev.lock
part run --extra embedded --extra map
for extra in postgres gemini openai anthropic gateway rollout otel checks; do
    part "$extra" --extra "$extra"
done
# Of an environment of its own: it agrees with what is run, not with what is developed with.
compile pyproject.toml -c requirements/run.lock -c requirements/postgres.lock "$@" --extra bench --extra postgres \
    -o requirements/bench.lock
# hatchling asks for editables when the project is installed with --editable.
compile requirements/build.in -c requirements/dev.lock "$@" -o requirements/build.lock
