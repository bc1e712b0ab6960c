"""Who runs this process, as the operating system knows it."""

from __future__ import annotations

import os
import pwd


def user_name() -> str:
    """The name of the real user id, or the id where it has no name; no variable of the environment counts."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
