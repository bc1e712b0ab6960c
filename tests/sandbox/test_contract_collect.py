"""The Sandbox port, by every backend: a tree with anything but files in it is refused as a whole."""

from __future__ import annotations

import pytest

from contracts.ports import Sandbox, SandboxLimits
from tests.sandbox.probing import FAST, python, run

HOSTILE = {
    "symbolic link": ("os.symlink('/etc/passwd', 'out/link')", "symbolic link"),
    "link to a folder": ("os.symlink('/etc', 'out/link')", "symbolic link"),
    "dangling link": ("os.symlink('nowhere', 'out/link')", "symbolic link"),
    "hard link": ("os.link('out/good', 'out/zwin')", "hard link"),
    "fifo": ("os.mkfifo('out/fifo')", "FIFO"),
    "socket": ("import socket; s = socket.socket(socket.AF_UNIX); s.bind('out/socket')", "socket"),
    "git folder": ("os.makedirs('out/.git'); open('out/.git/config', 'w')", "Git"),
    "git folder in disguise": ("os.makedirs('out/.GIT'); open('out/.GIT/config', 'w')", "Git"),
    "git file": ("open('out/.git', 'w')", "Git"),
    "not UTF-8": ("open(b'out/\\xff\\xfe', 'w')", "not UTF-8"),
    "newline": ("open('out/a\\nb', 'w')", "control"),
    "backslash": ("open('out/a\\\\b', 'w')", "backslash"),
    "not NFC": ("open('out/u\\u0308', 'w')", "NFC"),
    "invisible": ("open('out/a\\u200bb', 'w')", "invisible"),
    "case twins": ("open('out/A', 'w'); open('out/a', 'w')", "case"),
    "case twins of folders": (
        "os.makedirs('out/D'); open('out/D/1', 'w'); os.makedirs('out/d'); open('out/d/2', 'w')",
        "case",
    ),
    "setuid": ("open('out/s', 'w'); os.chmod('out/s', 0o4755)", "setuid"),
    "unreadable": ("open('out/s', 'w'); os.chmod('out/s', 0)", "cannot be read"),
    "closed folder": ("os.makedirs('out/d'); open('out/d/x', 'w'); os.chmod('out/d', 0)", "denied"),
    "sparse giant": (
        "open('out/s', 'w').truncate(33 << 20); open('out/t', 'w').truncate(33 << 20)",
        "more than",
    ),
    "long path": (
        "os.chdir('out')\nfor _ in range(30):\n    os.mkdir('d' * 200); os.chdir('d' * 200)\nopen('x', 'w')",
        "path longer",
    ),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
async def test_hostile_tree(sandbox: Sandbox, name: str) -> None:
    action, reason = HOSTILE[name]
    code = f"import os\nos.makedirs('out'); open('out/good', 'w').write('x')\n{action}\n"
    result = await python(sandbox, code, collect=("out/",))
    assert result.verdict == "policy", (result.stdout, result.stderr)
    assert result.files == {}
    assert reason in result.stderr.decode(), result.stderr
    assert result.exit_code == 0


async def test_a_link_on_the_way_is_not_followed(sandbox: Sandbox) -> None:
    code = "import os\nos.symlink('/etc', 'conf')"
    for pattern in ("conf/passwd", "conf/"):
        result = await python(sandbox, code, collect=(pattern,))
        assert result.verdict == "policy"
        assert b"symbolic link" in result.stderr


async def test_a_replaced_input_folder_is_not_followed(sandbox: Sandbox) -> None:
    code = "import os, shutil\nshutil.rmtree('src'); os.symlink('/usr/bin', 'src')"
    result = await python(sandbox, code, files={"src/a": b""}, collect=("src/a", "src/env"))
    assert result.verdict == "policy"


async def test_links_that_nobody_asks_for_do_no_harm(sandbox: Sandbox) -> None:
    code = "import os\nos.symlink('/etc/passwd', 'link')\nopen('good', 'w').write('x')"
    result = await python(sandbox, code, collect=("good",))
    assert (result.verdict, result.files) == ("ok", {"good": b"x"})


async def test_too_many_files_are_refused(sandbox: Sandbox) -> None:
    code = "import os\nos.makedirs('o')\nfor i in range(90): open(f'o/{i}', 'w')"
    many = await python(sandbox, code, collect=("o/",), limits=SandboxLimits(file_count=100, wall_seconds=20))
    assert (many.verdict, len(many.files)) == ("ok", 90)


async def test_a_file_asked_for_as_a_folder_and_the_reverse(sandbox: Sandbox) -> None:
    code = "import os\nos.makedirs('d')\nopen('d/x', 'w')\nopen('f', 'w').write('1')"
    result = await python(sandbox, code, collect=("d", "f/"))
    assert (result.verdict, result.files) == ("ok", {"f": b"1"})


async def test_overlapping_patterns_give_each_file_once(sandbox: Sandbox) -> None:
    result = await run(
        sandbox, "true", files={"d/a": b"1", "d/e/b": b"2"}, collect=("d/", "d/a", "d/e/", "d/"), limits=FAST
    )
    assert result.files == {"d/a": b"1", "d/e/b": b"2"}
