"""Compares a file of tests before and after tests of it were corrected: all else stays as it was."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Set
from typing import Final, NamedTuple

from contracts.documents.test_ids import NamedTest

_REACHES: Final = re.compile(r"^\s*global\s|(?<![.\w])(?:globals|exec)\s*\(|@exec\b", re.MULTILINE)
"""How a part takes away or replaces what stands elsewhere in its file."""
_HOOK: Final = re.compile(r"pytest_|pytestmark$|set_?up|tear_?down|test|\*|__", re.IGNORECASE)
"""Names that pytest heeds wherever they come from, and what may stand for any name."""
_FIRST_LINE: Final = 100

Names = tuple[str, ...]


class _Part(NamedTuple):
    """A statement of a module or class, or the head of a class."""

    label: str
    text: str
    inside: Names
    """The classes around it."""


def changed_besides(old: str, new: str, path: str, contested: Set[NamedTest]) -> list[str]:
    """What differs that is not contested, and which contested tests are gone.

    Imports may be added that give no name of the file another meaning. What is no Python stays as it is.
    """
    free = {test.names for test in contested if test.path == path}
    try:
        before, after = ast.parse(old), ast.parse(new)
    except (SyntaxError, ValueError):
        return [] if old == new else [path]
    gone = sorted("::".join(names) for names in free & _functions(before.body) - _functions(after.body))
    for module in (before, after):
        module.body = _without(_one_name_an_import(module.body), free)
    after.body = _without_new_imports(after.body, before)
    kept, found = list(_parts(before.body)), list(_parts(after.body))
    differing = [part.label for part in (Counter(kept) - Counter(found)) + (Counter(found) - Counter(kept))]
    if not differing and kept != found:
        differing = ["the order of what stands in it"]
    return [f"{path}::{label}" for label in (*dict.fromkeys(differing), *(f"{one} (gone)" for one in gone))]


def weakened(old: str, new: str, path: str) -> list[str]:
    """What of a file of tests is changed or gone; tests, fixtures and values may be added under new names.

    What is no Python stays as it is.
    """
    try:
        before, after = ast.parse(old), ast.parse(new)
    except (SyntaxError, ValueError):
        return [] if old == new else [path]
    used = set(_mentioned(before))
    before.body, after.body = _one_name_an_import(before.body), _one_name_an_import(after.body)
    after.body = _without_new_imports(after.body, before)
    kept, found = list(_parts(before.body)), list(_parts(after.body))
    added = Counter(found) - Counter(kept)
    labels = {part.label for part in kept}
    differing = [part.label for part in Counter(kept) - Counter(found)]
    differing += [part.label for part in added if not _is_addition(part, labels, used)]
    if not differing and [part for part in found if part not in added] != kept:
        differing = ["the order of what stands in it"]
    return [f"{path}::{label}" for label in dict.fromkeys(differing)]


def _is_addition(part: _Part, labels: Set[str], used: Set[str]) -> bool:
    """Whether a new part gives nothing of the file another meaning."""
    if part.label in labels or "autouse" in part.text or _REACHES.search(part.text):
        return False
    if part.inside and "::".join(part.inside) not in labels:
        return True  # of a class that is new as well
    names = [part.label.rpartition("::")[2]]
    if not part.text.startswith(("@", "def ", "async def ", "class ")):
        [node] = ast.parse(part.text).body
        targets = node.targets if isinstance(node, ast.Assign) else []
        names = [target.id if isinstance(target, ast.Name) else "*" for target in targets] or ["*"]
    elif names[0].lower().startswith("test"):
        return True
    return not any(_HOOK.match(name) or name in used for name in names)


def _functions(body: list[ast.stmt], inside: Names = ()) -> set[Names]:
    found: set[Names] = set()
    for node in body:
        if isinstance(node, ast.ClassDef):
            found |= _functions(node.body, (*inside, node.name))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add((*inside, node.name))
    return found


def _without(body: list[ast.stmt], free: Set[Names], inside: Names = ()) -> list[ast.stmt]:
    """The statements without these functions, those of classes too."""
    kept = []
    for node in body:
        if isinstance(node, ast.ClassDef):
            node.body = _without(node.body, free, (*inside, node.name))
        name = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else ""
        if (*inside, name) not in free:
            kept.append(node)
    return kept


def _one_name_an_import(body: list[ast.stmt]) -> list[ast.stmt]:
    return [one for node in body for one in _split(node)]


def _split(node: ast.stmt) -> Iterator[ast.stmt]:
    if isinstance(node, ast.Import):
        yield from (ast.Import([alias]) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (ast.ImportFrom(node.module, [alias], node.level) for alias in node.names)
    else:
        yield node


def _without_new_imports(body: list[ast.stmt], before: ast.Module) -> list[ast.stmt]:
    """The statements without imports that are new and harmless."""
    known = {ast.dump(node) for node in before.body}
    used = set(_mentioned(before))
    return [node for node in body if ast.dump(node) in known or not _is_harmless(node, used)]


def _is_harmless(node: ast.stmt, used: Set[str]) -> bool:
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return False
    [alias] = node.names
    name = alias.asname or (alias.name.partition(".")[0] if isinstance(node, ast.Import) else alias.name)
    return name not in used and not _HOOK.match(name)


def _mentioned(module: ast.Module) -> Iterator[str]:
    """Every name that the module uses or defines; fixtures are asked for by arguments, or in text."""
    for node in ast.walk(module):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _parts(body: list[ast.stmt], inside: Names = ()) -> Iterator[_Part]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            names, members = (*inside, node.name), node.body
            node.body = []
            yield _Part("::".join(names), ast.unparse(node), inside)
            yield from _parts(members, names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _Part("::".join((*inside, node.name)), ast.unparse(node), inside)
        else:
            text = ast.unparse(node)
            yield _Part("::".join((*inside, text.partition("\n")[0][:_FIRST_LINE])), text, inside)
