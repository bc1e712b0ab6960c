"""Whether a changed JSON Schema still accepts, and reads alike, every document of the released one.

Each rule is a function from (released, current, path) to the breakages it finds in one place; `compare` walks
both schemas together. What no rule knows counts as broken when it changed, so nothing passes unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]
_Pair = tuple[int, int]

_LOWER_LIMITS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_LIMITS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_FORMS = ("pattern", "format", "multipleOf", "uniqueItems")
_ANNOTATIONS = frozenset({"$schema", "$id", "title", "description", "examples", "$comment", "$defs"})
_HANDLED = frozenset(
    {
        *_LOWER_LIMITS,
        *_UPPER_LIMITS,
        *_FORMS,
        *_ANNOTATIONS,
        "type",
        "enum",
        "const",
        "required",
        "properties",
    }
    | {"additionalProperties", "items", "default", "anyOf", "allOf", "$ref"}
)
_TRIVIAL: tuple[Any, ...] = (None, True, {})


@dataclass(frozen=True, slots=True)
class Breakage:
    """A broken rule, the JSON path in documents where it applies, and what changed there."""

    rule: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.rule}: {self.message}"


def compare(released: Schema, current: Schema) -> list[Breakage]:
    """Find every rule that `current` breaks for documents that are valid under `released`."""
    return list(_Walk(released, current).schemas(released, current, "$", frozenset()))


class _Walk:
    """Walks two schemas side by side, each resolving references in its own root."""

    def __init__(self, released: Schema, current: Schema) -> None:
        self._released = released
        self._current = current

    def schemas(
        self, released: Schema, current: Schema, path: str, above: frozenset[_Pair]
    ) -> Iterator[Breakage]:
        if (pair := (id(released), id(current))) in above:
            return
        above |= {pair}
        old, new = _resolved(self._released, released), _resolved(self._current, current)
        if "anyOf" in old or "anyOf" in new:
            yield from _default(old, new, path)
            yield from self._alternatives(old, new, path, above)
            return
        for rule in _RULES:
            yield from rule(old, new, path)
        yield from self._members(old, new, path, above)
        yield from self._conditions(old, new, path, above)

    def _members(self, old: Schema, new: Schema, path: str, above: frozenset[_Pair]) -> Iterator[Breakage]:
        now = new.get("properties", {})
        for name, member in old.get("properties", {}).items():
            if name in now:
                yield from self.schemas(member, now[name], f"{path}.{name}", above)
        for key, step in (("items", "[*]"), ("additionalProperties", ".*")):
            if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
                yield from self.schemas(old[key], new[key], path + step, above)

    def _alternatives(
        self, old: Schema, new: Schema, path: str, above: frozenset[_Pair]
    ) -> Iterator[Breakage]:
        for wanted in old.get("anyOf", [_bare(old)]):
            attempts = [
                list(self.schemas(wanted, offered, path, above)) for offered in new.get("anyOf", [_bare(new)])
            ]
            if all(attempts):
                # The alternative of the same type explains most; without one the alternative is gone.
                related = [found for found in attempts if all(b.rule != "type-narrowed" for b in found)]
                gone = [
                    Breakage("alternative-removed", path, f"{_resolved(self._released, wanted)} was allowed")
                ]
                yield from min(related, key=len, default=gone)

    def _conditions(self, old: Schema, new: Schema, path: str, above: frozenset[_Pair]) -> Iterator[Breakage]:
        before = {repr(member.get("if")): member for member in old.get("allOf", [])}
        for member in new.get("allOf", []):
            known = before.get(repr(member.get("if")))
            if known is None and _excluded(old, member.get("if", {})):
                continue
            if known is None:
                yield Breakage("condition-added", path, f"{member} was not asked for")
            elif "if" in member:
                yield from self.schemas(known.get("then", {}), member.get("then", {}), path, above)
            else:
                yield from self.schemas(known, member, path, above)


def _resolved(root: Schema, schema: Schema) -> Schema:
    """Replace a leading reference by its target; what stands beside the reference has precedence."""
    while "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _excluded(old: Schema, condition: Schema) -> bool:
    """Whether no document of the old schema meets the condition, since its value was not allowed."""
    for name in condition.get("required", ()):
        allowed = old.get("properties", {}).get(name, {}).get("enum")
        wanted = condition.get("properties", {}).get(name, {})
        if allowed is not None and "const" in wanted and wanted["const"] not in allowed:
            return True
    return False


def _bare(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in {"default", "description"}}


def _types(schema: Schema) -> frozenset[str]:
    stated = schema.get("type")
    names = frozenset([stated] if isinstance(stated, str) else stated or ())
    return names | {"integer"} if "number" in names else names


def _type_narrowed(old: Schema, new: Schema, path: str) -> Iterator[Breakage]:
    if _types(new) and (not _types(old) or _types(old) - _types(new)):
        yield Breakage("type-narrowed", path, f"{old.get('type', 'any')} became {new['type']}")


def _values_narrowed(old: Schema, new: Schema, path: str) -> Iterator[Breakage]:
    before, now = _values(old), _values(new)
    if now is not None and (before is None or any(value not in now for value in before)):
        lost = "anything" if before is None else [value for value in before if value not in now]
        yield Breakage("values-narrowed", path, f"{lost} is no longer allowed, only {now}")


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _limit_raised(old: Schema, new: Schema, path: str) -> Iterator[Breakage]:
    for key in _LOWER_LIMITS:
        if key in new and (key not in old or new[key] > old[key]):
            yield Breakage("limit-narrowed", path, f"{key} went from {old.get(key, 'none')} to {new[key]}")


def _limit_lowered(old: Schema, new: Schema, path: str) -> Iterator[Breakage]:
    for key in _UPPER_LIMITS:
        if key in new and (key not in old or new[key] < old[key]):
            yield Breakage("limit-narrowed", path, f"{key} went from {old.get(key, 'none')} to {new[key]}")


def _form_changed(old: Schema, new: Schema, path: str) -> Iterator[Breakage]:
    for key in _FORMS:
        if new.get(key, False) is not False and new[key] != old.get(key):
            yield Breakage("form-changed", path, f"{key} went from {old.get(key, 'none')!r} to {new[key]!r}")


def _property_removed(old: Schema, new: Schema, path: str) -> Iterator[Breakage]:
    for name in old.get("properties", {}):
        if name not in new.get("properties", {}):
            yield Breakage("property-removed", f"{path}.{name}", "documents in the field may have it")


def _property_claimed(old: Schema, new: Schema, path: str) -> Iterator[Breakage]:
    if old.get("additionalProperties") is False or old.get("type") != "object":
        return
    for name, member in new.get("properties", {}).items():
        if name not in old.get("properties", {}) and member not in _TRIVIAL:
            yield Breakage("property-claimed", f"{path}.{name}", "any value was allowed under this name")


def _required_added(old: Schema, new: Schema, path: str) -> Iterator[Breakage]:
    for name in new.get("required", []):
        if name not in old.get("required", []):
            yield Breakage("required-added", f"{path}.{name}", "documents in the field may lack it")


def _additional_tightened(old: Schema, new: Schema, path: str) -> Iterator[Breakage]:
    before, now = old.get("additionalProperties"), new.get("additionalProperties")
    if before is False or now in _TRIVIAL or (isinstance(before, dict) and before and isinstance(now, dict)):
        return
    yield Breakage("additional-tightened", path, f"other properties were allowed ({before!r}), now {now!r}")


def _items_tightened(old: Schema, new: Schema, path: str) -> Iterator[Breakage]:
    if old.get("items") in _TRIVIAL and new.get("items") not in _TRIVIAL:
        yield Breakage("items-tightened", f"{path}[*]", "any item was allowed")


def _default(old: Schema, new: Schema, path: str) -> Iterator[Breakage]:
    if "default" in old and ("default" not in new or old["default"] != new["default"]):
        yield Breakage(
            "default-changed",
            path,
            f"{old['default']!r} became {new.get('default', 'none')!r}: absent reads otherwise",
        )


def _unknown_changed(old: Schema, new: Schema, path: str) -> Iterator[Breakage]:
    for key in sorted((old.keys() | new.keys()) - _HANDLED):
        if old.get(key) != new.get(key):
            yield Breakage("unknown-changed", path, f"{key} changed, and no rule knows what that means")


_RULES: tuple[Callable[[Schema, Schema, str], Iterator[Breakage]], ...] = (
    _type_narrowed,
    _values_narrowed,
    _limit_raised,
    _limit_lowered,
    _form_changed,
    _property_removed,
    _property_claimed,
    _required_added,
    _additional_tightened,
    _items_tightened,
    _default,
    _unknown_changed,
)
