"""What variables say of the way into the network."""

from __future__ import annotations

from collections.abc import Mapping


def by_proxies(variables: Mapping[str, str]) -> dict[str, str]:
    """Scheme -> the proxy that it is asked by."""
    found = {}
    for scheme in ("http", "https"):
        names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
        if address := next(filter(None, (variables.get(name, "") for name in names)), ""):
            found[scheme] = address if "://" in address else f"http://{address}"
    return found


def no_proxies(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Hosts that are asked without a proxy."""
    text = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    return tuple(one.strip() for one in text.split(",") if one.strip())
