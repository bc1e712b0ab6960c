"""Schemas as Gemini had them first, a part of OpenAPI's, as JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

NO_ARGUMENTS: Final[Mapping[str, Any]] = {"type": "object", "properties": {}}
_SCHEMAS_BY_NAME: Final = frozenset({"properties", "$defs", "defs"})
_SCHEMAS: Final = frozenset({"items", "additionalProperties"})
_LISTS_OF_SCHEMAS: Final = frozenset({"anyOf", "any_of", "oneOf", "allOf", "prefixItems"})
_OTHER_NAMES: Final = {
    "any_of": "anyOf",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "defs": "$defs",
}


def as_json_schema(schema: Any) -> Any:
    """A schema in JSON Schema's words: types in small letters, `nullable` as a type."""
    if not isinstance(schema, Mapping):
        return schema
    found = {_OTHER_NAMES.get(key, key): _value(key, value) for key, value in schema.items()}
    found.pop("propertyOrdering", None)
    found.pop("property_ordering", None)
    if found.pop("nullable", False) and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    return found


def _value(key: str, value: Any) -> Any:
    if key == "type" and isinstance(value, str):
        return value.lower()
    if key in _SCHEMAS_BY_NAME and isinstance(value, Mapping):
        return {name: as_json_schema(one) for name, one in value.items()}
    if key in _SCHEMAS:
        return as_json_schema(value)
    if key in _LISTS_OF_SCHEMAS and isinstance(value, list):
        return [as_json_schema(one) for one in value]
    return value
