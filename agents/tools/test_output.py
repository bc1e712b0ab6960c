"""Shell scripts that keep the output of tests in a file, and show what matters of it."""

from __future__ import annotations

from typing import Final

FILE: Final = "/tmp/test-output.txt"  # noqa: S108 - inside
"""Where the output of the last tests is, in the workspace."""

INTO_FILE: Final = 'file=$1; shift; PYTEST_ADDOPTS="-rfE $PYTEST_ADDOPTS" exec "$@" >"$file" 2>&1'
"""Arguments: the file, then a command. Runs it with all that it prints in the file.

A pytest names at its end what failed, as it does unless the settings of its repository say otherwise.
"""

MOST_SHOWN: Final = 4_000
"""Characters that are shown at most: the first failures and the last, which stay in the conversation."""

_MOST_BYTES: Final = 16_000_000
_END_BYTES: Final = 1_000_000
"""Above the first, this much of the end is kept: it lies in memory."""

_PYTEST: Final = "^=* ?[0-9]+ (passed|failed|errors?|skipped|deselected)[, ].*in [0-9]|^=+ no tests ran"
"""What tests print of a pytest that they run looks the same: the last line counts."""
_COUNTS: Final = "|".join(
    (
        "^Ran [0-9]+ tests?|^(OK|FAILED)( [(]|$)",  # unittest
        "^(#|ℹ) (tests|pass|fail) [0-9]",  # node
        "^ *Tests:? +[0-9]",  # Jest, Vitest
        "^ *[0-9]+ (passing|failing)",  # Mocha
        "^test result: ",  # Cargo
    )
)
_FAILED: Final = "|".join(
    (
        "^(FAILED|ERROR) [^ ]*([.]py|::)",  # pytest
        "^(FAIL|ERROR): .+[(]",  # unittest
        "^ *(not ok [0-9]|✖ )",  # node
        "^ *(FAIL +[^ ]|● .+ › )",  # Jest, Vitest, Go
        "^ *--- FAIL: ",  # Go
        "^test .+ [.]{3} FAILED",  # Cargo
    )
)
SHOW: Final = f"""
file=$1 most=$2
size=$(wc -c <"$file")
if [ "$size" -gt {_MOST_BYTES} ]; then
    end=$(tail -c {_END_BYTES} "$file")
    printf '(%s bytes before this are not kept)\\n%s\\n' $((size - {_END_BYTES})) "$end" >"$file"
    size=$(wc -c <"$file")
fi
export LC_ALL=C
if [ "$size" -le "$most" ]; then
    cat "$file"
else
    grep -aE '{_PYTEST}' "$file" | tail -n 1 | cut -b 1-300 >&2
    grep -aE '{_COUNTS}' "$file" | tail -n 4 | cut -b 1-300 >&2
    grep -aE '{_FAILED}' "$file" | head -n 50 | cut -b 1-300 >&2
    head -c $((most / 3)) "$file"
    printf '\\n... %s bytes left out; all of it is in %s: look with `run` and grep, tail or sed -n ...\\n' \\
        $((size - most / 3 * 3)) "$file"
    tail -c $((most / 3 * 2)) "$file"
fi
"""
"""Arguments: the file, and how many bytes of it are shown, of its beginning and twice as much of its end.

Where not all is shown, on standard error come what the runner counted and the tests that it says failed, as
far as it is known.
"""
