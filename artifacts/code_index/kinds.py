"""What a file is for, by its path alone."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

from artifacts.code_index.grammars import BY_SUFFIX
from artifacts.code_index.symbols import suffix_of

_FURTHER_CODE: Final = re.compile(
    r"\.(rb|php|cs|kts?|swift|scala|sh|bash|pl|pm|lua|exs?|erl|hs|mli?|clj|dart|vue|svelte|sql|mm?|zig|nim|jl|r"
    r"|groovy|fsx?|proto|cu|asm|s|ps1|tcl|el|lisp)$"
)
_TEST_FOLDERS: Final = re.compile(
    r"(^|/)(tests?|__tests__|test_?data|spec|specs|e2e|fixtures?|__fixtures__|mocks?|__mocks__|testing|testutil"
    r"|integration[-_]tests?|acceptance|tests?[-_][^/]*)/",
    re.IGNORECASE,
)
_TEST_NAMES: Final = re.compile(
    r"(^|/)(test_[^/]*|[^/]*[_.-](tests?|spec|bench)\.\w+|[^/]*[a-z0-9](Tests?|IT)\.\w+|Test[A-Z][^/]*|conftest\.py)$"
)
_ASIDE: Final = re.compile(
    r"(^|/)(docs?|examples?|samples?|demos?|bench(mark)?s?|vendor|third_?party|deps|node_modules|dist|playground"
    r"|scripts?|tools|website|ci|fuzz(ers?|ing)?)/|\.min\.js$|\.d\.ts$|_pb2\.py$|\.pb\.go$",
    re.IGNORECASE,
)


class Kind(StrEnum):
    """What a file is for."""

    CODE = "code"
    TEST = "test"
    ASIDE = "aside"
    """Code beside the product: examples, scripts, what others wrote, what was generated."""
    OTHER = "other"
    """Prose, data, pictures. Known by its name only."""


@lru_cache(maxsize=100_000)
def kind_of(path: str) -> Kind:
    """Judge a file by its path."""
    suffix = suffix_of(path)
    if suffix not in BY_SUFFIX and not _FURTHER_CODE.match(suffix):
        return Kind.OTHER
    if _TEST_FOLDERS.search(path) or _TEST_NAMES.search(path):
        return Kind.TEST
    return Kind.ASIDE if _ASIDE.search(path) else Kind.CODE
