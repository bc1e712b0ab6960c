"""Kills the importing process when its parent ends. The fork server imports it."""

from __future__ import annotations

import os
from typing import Final

from multi_agent.runtime.forking.die_with_parent import die_with_parent

SERVER: Final = os.getpid()
"""The fork server, known to its children even where it ended right after it had forked them."""

# 1 is what adopts a process whose parent ended before this line.
die_with_parent(os.getppid() if os.getppid() != 1 else 0)
