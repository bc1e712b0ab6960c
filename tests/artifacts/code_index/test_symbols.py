"""What is read of each language, and of what is none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from artifacts.code_index.grammars import BY_SUFFIX
from artifacts.code_index.symbols import EMPTY, can_read, missing_grammars, outline

SAMPLES = {
    ".py": (
        "from lib.shapes import area as size\nfrom . import utils\nLIMIT = 3\n@cached\nclass Box(Base):\n"
        "    def grow(self, by: Step) -> None:\n        size(self.side.measure())\n",
        {"LIMIT", "Box", "grow"},
        {"area", "Base", "Step", "cached", "size", "measure"},
        {"shapes", "utils"},
    ),
    ".js": (
        "import { area } from './lib/shapes.js';\nconst fs = require('./files');\n"
        "export class Box extends Base { grow(by) { return area(this.measure()); } }\nfunction help() {}\n"
        "exports.later = () => new Step();\n",
        {"fs", "Box", "grow", "help", "later"},
        {"area", "measure", "Step", "require"},
        {"shapes", "files"},
    ),
    ".ts": (
        "import { area } from '../shapes';\nexport interface Side { a: Step }\n"
        "export type Alias = Other<Step>;\n"
        "export const limit = 3;\nexport enum Kind { A }\n"
        "abstract class Box extends Base { grow(): Step { return area() } }\n",
        {"Side", "Alias", "limit", "Kind", "Box", "grow"},
        {"area", "Step", "Other", "Base"},
        {"shapes"},
    ),
    ".tsx": ("export const View = () => <Box side={area()} />;\n", {"View"}, {"area"}, set()),
    ".go": (
        'package box\nimport "x/shapes"\nconst Limit = 3\ntype Box struct { side Step }\n'
        "func (b *Box) Grow(by Step) error { return shapes.Area(help()) }\nfunc help() {}\n",
        {"Limit", "Box", "Grow", "help"},
        {"Step", "Area", "help", "Box", "error"},
        set(),
    ),
    ".rs": (
        "mod shapes;\npub struct Box { side: Step }\npub trait Grow { fn grow(&self); }\n"
        "impl Grow for Box { fn grow(&self) { shapes::area(self.measure()); print!() } }\n"
        "const LIMIT: u8 = 3;\n"
        "macro_rules! quick { () => {} }\nenum Kind { A }\n",
        {"Box", "Grow", "grow", "LIMIT", "quick", "Kind"},
        {"Step", "area", "measure", "print", "Box", "Grow"},
        {"shapes"},
    ),
    ".java": (
        "package box;\nimport lib.Shapes;\npublic class Box extends Base {\n"
        "  void grow(Step by) { Shapes.area(measure()); new Other(); }\n}\n"
        "interface Grown {}\nenum Kind { A }\n",
        {"Box", "grow", "Grown", "Kind"},
        {"Shapes", "area", "measure", "Step", "Base", "Other"},
        set(),
    ),
    ".c": (
        '#include "lib/shapes.h"\n#define TWICE(x) (x)\ntypedef struct { int a; } side_t;\n'
        "struct box { side_t s; };\n"
        "static int *grow(struct box *b) { return area(b->measure(1)); }\nint help(void) { return 1; }\n",
        {"TWICE", "side_t", "box", "grow", "help"},
        {"area", "measure", "side_t"},
        {"shapes"},
    ),
    ".cpp": (
        '#include "shapes.hpp"\nnamespace n { class Box : public Base { void grow(Step by); }; }\n'
        "void n::Box::grow(Step by) { shapes::area(measure()); }\nusing Alias = Step;\n",
        {"Box", "grow", "Alias"},
        {"Step", "area", "measure", "Base"},
        {"shapes"},
    ),
}


@pytest.mark.parametrize("suffix", SAMPLES)
def test_a_language_gives_symbols_and_references(suffix: str) -> None:
    text, defines, uses, modules = SAMPLES[suffix]
    found = outline(f"a/box{suffix}", text.encode())
    assert {symbol.name for symbol in found.symbols} == defines
    assert uses <= set(found.references), sorted(found.references)
    assert found.modules == modules
    assert [symbol.line for symbol in found.symbols] == sorted(symbol.line for symbol in found.symbols)


def test_every_ending_has_a_grammar_that_is_installed_and_a_query_that_fits() -> None:
    assert missing_grammars() == []
    for suffix in BY_SUFFIX:
        assert can_read(suffix)
        assert outline(f"empty{suffix}", b"") == EMPTY


def test_a_symbol_has_its_line_with_its_indentation() -> None:
    [_, second] = outline("a.py", b"class Box:\n    def grow(self):  # \xff\n        pass\n").symbols
    assert second == ("grow", 2, "    def grow(self):  # \ufffd")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 1_000,
        b"\xff\xfe" * 500,
        b"def (:\n class\n" * 200,
        b"(" * 5_000,
        "def größe(): pass".encode(),
    ],
)
@pytest.mark.parametrize("suffix", BY_SUFFIX)
def test_nothing_that_a_file_holds_is_an_error(suffix: str, content: bytes) -> None:
    assert outline(f"a{suffix}", content).symbols is not None


def test_other_files_have_no_outline() -> None:
    for path in ("a.rb", "README.md", "Makefile", ".py", "py"):
        assert outline(path, b"def f(): pass") == EMPTY


def test_without_the_extra_files_have_no_outline_and_that_is_said() -> None:
    code = """
import sys
sys.modules["tree_sitter"] = None
from artifacts.code_index.index import make_map, read_entries
[entry] = read_entries([("a.py", b"def grow(): pass")])
found = make_map({"a.py": entry, "b.py": type(entry)()}, "grow", 100)
print(found.paths, found.text.split(), found.note)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        "('a.py', 'b.py') ['a.py', 'b.py'] files are ranked by names and words alone"
    )
    assert "pip install 'multi-agent[map]'" in done.stdout
