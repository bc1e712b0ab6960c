"""`from sandbox_runner import SandboxRunner`, with the settings of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.base.errors import InvalidInput
from sandbox_runner import SandboxRunner


def test_as_written(tmp_path: Path) -> None:
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "x.py").write_text("print(6 * 7)\n")
    sandbox = SandboxRunner()
    sandbox.create_container()
    sandbox.copy_files(tmp_path)
    sandbox.copy_files({"y.py": "import codes.x\n"})
    sandbox.copy_files([tmp_path / "codes" / "x.py"])
    for program in ("codes/x.py", "y.py", "x.py"):
        result = sandbox.execute(cmd=f"python {program}", timeout=30)
        assert (result.verdict, result.exit_code, result.stdout) == ("ok", 0, b"42\n")
    assert sandbox.execute(cmd=["sleep", "60"], timeout=0.5).verdict == "timeout"
    sandbox.cleanup()
    with pytest.raises(InvalidInput, match=r"call create_container\(\) first"):
        sandbox.execute(cmd="true")


def test_mistakes_are_named() -> None:
    sandbox = SandboxRunner()
    sandbox.create_container()
    for cmd, timeout, why in (
        ("", None, "cmd '' names no program"),
        ("echo 'x", None, "No closing quotation"),
        ([1], None, "names no program"),
        (None, None, "cmd None is no command line"),
        ("true", 0, "timeout 0 is no time; give seconds above 0"),
        ("true", "1", "timeout '1' is no time"),
    ):
        with pytest.raises(InvalidInput, match=why):
            sandbox.execute(cmd=cmd, timeout=timeout)
    with pytest.raises(InvalidInput, match="nothing-here"):
        sandbox.copy_files("nothing-here")
