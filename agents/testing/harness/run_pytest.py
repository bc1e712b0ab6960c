"""Starts `session.py` with the order that is on stdin. `supervise.py` starts it in the sandbox.

The harness's modules are loaded with builtins of their own and are not in `sys.modules`: there is no name by
which code under test finds them.
"""

import builtins
import json
import os
import sys
import types
from pathlib import Path
from typing import Any

_MODULES = (
    *("strict", "assertions", "integrity", "watching", "rewriting", "meter", "traces", "quiet"),
    "session",
)
_APART = ("apart/wire", "apart/stand_ins", "apart/peer", "apart/tests_side")


def _load(name: str) -> types.ModuleType:
    path = Path(__file__).parent / f"{name}.py"
    module = types.ModuleType(f"{name} of the harness")
    vars(module).update(__file__=str(path), __builtins__=dict(vars(builtins)))
    exec(compile(path.read_bytes(), str(path), "exec"), vars(module))  # noqa: S102  # its own, past the imports of others
    return module


def main() -> None:
    """Read the order, and run it out of sight."""
    order: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    names = (*_MODULES, *_APART) if order["apart"] else _MODULES
    own = {name.rpartition("/")[2]: _load(name) for name in names}
    session = own.pop("session")
    sys.modules["__main__"] = types.ModuleType("__main__")
    session.main(order, own)


if __name__ == "__main__":
    main()
