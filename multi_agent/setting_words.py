"""What a setting may be, in words."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

_BOUNDS = {"Ge": "at least", "Gt": "more than", "Le": "at most", "Lt": "less than"}


def wanted(info: FieldInfo) -> str:
    """What a setting may be, in words. Those that are secret take any text, so none is ever refused."""
    kinds = [kind for kind in (info.annotation, *get_args(info.annotation)) if kind is not type(None)]
    choices = [name for kind in kinds if get_origin(kind) is Literal for name in get_args(kind)]
    if bool in kinds:
        return "true or false"
    if int not in kinds and float not in kinds:
        return f"one of {', '.join(choices)}" if choices else "a text"
    kind = "a whole number" if int in kinds else "a number"
    limits = {type(one).__name__: getattr(one, type(one).__name__.lower()) for one in info.metadata}
    said = [f"{_BOUNDS[name]} {limit:,}" for name, limit in limits.items() if name in _BOUNDS]
    return " or ".join([f"{kind} of {' and '.join(said)}" if said else kind, *choices])
