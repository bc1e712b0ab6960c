"""Judges the assertions of unittest.TestCase once more: its methods can be given another meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Assertions:
    """Calls an assertion's method, and fails as well where what it asserts does not hold."""

    def __init__(self, strict: Any, case: type) -> None:
        def by(kind: str) -> Callable[[Any, Any], bool]:
            return lambda left, right: bool(strict.compare(kind, left, right))

        def honest(left: Any, right: Any) -> bool:
            return not strict.lies(left, right)

        equal = ("assertEqual", "assertListEqual", "assertTupleEqual", "assertDictEqual", "assertSetEqual")
        compared = ("assertCountEqual", "assertSequenceEqual", "assertAlmostEqual")
        pairs: dict[str, Callable[[Any, Any], bool]] = {
            **dict.fromkeys(equal, by("eq")),
            **dict.fromkeys(compared, honest),
            "assertNotEqual": by("ne"),
            "assertIn": by("in"),
            "assertNotIn": by("not in"),
            "assertLess": by("lt"),
            "assertLessEqual": by("le"),
            "assertGreater": by("gt"),
            "assertGreaterEqual": by("ge"),
            "assertIs": lambda left, right: left is right,
        }
        singles: dict[str, Callable[[Any], bool]] = {
            "assertTrue": bool,
            "assertFalse": lambda value: not value,
            "assertIsNone": lambda value: value is None,
        }
        self._checks: dict[str, tuple[int, Callable[..., bool]]] = {
            **{name: (2, check) for name, check in pairs.items()},
            **{name: (1, check) for name, check in singles.items()},
        }
        self._case = case

    def call(self, method: Any, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method named `assert...`."""
        __tracebackhide__ = True
        refuted = self._refutes(method, name, arguments)
        result = method(*arguments, **options)
        if refuted:
            shown = ", ".join(repr(value)[:200] for value in arguments)
            raise AssertionError(f"{name}({shown}) does not hold")
        return result

    def _refutes(self, method: Any, name: str, arguments: tuple[Any, ...]) -> bool:
        """Whether an assertion of TestCase does not hold. Before the method: values learn what they meet."""
        count, check = self._checks.get(name, (0, bool))
        owner = getattr(method, "__self__", None)
        if not count or len(arguments) < count or not self._is_usual(type(owner), name):
            return False
        try:
            return not check(*arguments[:count])
        except Exception:
            return False  # the method meets the same, and says so

    def _is_usual(self, kind: type, name: str) -> bool:
        """Whether no class between the test's and TestCase defines a method of its own."""
        line = type.__dict__["__mro__"].__get__(kind)
        if not any(part is self._case for part in line):
            return False
        return next(part for part in line if name in vars(part)) is self._case
