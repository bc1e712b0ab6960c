"""The Sandbox port, by every backend: a tree with anything but files in it is refused as a whole."""

from __future__ import annotations

import pytest

from contracts.ports.sandbox import Sandbox, SandboxLimits
from sandbox_runner.probes.abuse import ABUSE
from tests.sandbox.probing import FAST, python, run

TREE_PROBES = {one.name: one for one in ABUSE if one.name.startswith("tree-")}


@pytest.mark.parametrize("name", sorted(TREE_PROBES))
async def test_hostile_tree(sandbox: Sandbox, name: str) -> None:
    assert await TREE_PROBES[name].attempt(sandbox) == ""


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
