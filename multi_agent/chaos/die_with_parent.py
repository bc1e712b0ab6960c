"""Kills the importing process when its parent ends. The fork server imports it."""

from __future__ import annotations

import os

from multi_agent.runtime.forking.die_with_parent import die_with_parent

# 1 is what adopts a process whose parent ended before this line.
die_with_parent(os.getppid() if os.getppid() != 1 else 0)
