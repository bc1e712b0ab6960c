"""Draw docs/run.svg: the recorded example in a real terminal (tmux). Arguments: columns, rows."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from html import escape, unescape
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).resolve().parent
COMMAND = 'multi-agent run "Create a simple SMA crossover strategy"'
# rich's own template loads its font from a server.
FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">
<style>
text {{ font: {char_height}px "DejaVu Sans Mono", Menlo, Consolas, monospace }}
{styles}
</style>
<rect width="{width}" height="{height}" rx="8" fill="#0c0c0c"/>
<g transform="translate({terminal_x}, {terminal_y})">{backgrounds}{matrix}</g>
</svg>
"""

TEXT = re.compile(
    r'<text class="([^"]+)" x="([^"]+)" y="([^"]+)" textLength="([^"]+)"[^>]*>(.*?)</text>', re.DOTALL
)
WORDS = re.compile(r"\S+(?: \S+)*")


def placed(svg: str) -> str:
    """Each group of words at its own place: viewers differ in what they make of spaces in a row."""

    def groups(found: re.Match[str]) -> str:
        style, x, y, length, content = found.groups()
        text = unescape(content).replace("\N{NO-BREAK SPACE}", " ")
        width = float(length) / len(text)
        return "".join(
            f'<text class="{style}" x="{float(x) + word.start() * width:.1f}" y="{y}" '
            f'textLength="{len(word[0]) * width:.1f}">{escape(word[0])}</text>\n'
            for word in WORDS.finditer(text)
        )

    return TEXT.sub(groups, svg)


def capture(columns: str, rows: str, folder: str) -> str:
    """What the terminal shows when the command has ended, with its colours."""
    name, done = f"picture-{columns}x{rows}", f"picture-done-{columns}x{rows}"
    script = f"printf '$ %s\\n' '{COMMAND}'; {COMMAND}; tmux -L {name} wait-for -S {done}; sleep 60"
    tmux = ("tmux", "-u", "-L", name)
    path = f"export LC_ALL=C.UTF-8 PATH={Path(sys.executable).parent}:/usr/bin:/bin"
    start = ("new-session", "-d", "-x", columns, "-y", rows, "-c", folder, f"{path}; {script}")
    subprocess.run([*tmux, *start], check=True)
    try:
        subprocess.run([*tmux, "wait-for", done], check=True, timeout=120)
        shown = subprocess.run(
            [*tmux, "capture-pane", "-e", "-p"], check=True, capture_output=True, text=True
        )
        return shown.stdout.rstrip("\n")
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


if __name__ == "__main__":
    columns, rows = sys.argv[1:3] if len(sys.argv) > 2 else ("110", "30")
    with tempfile.TemporaryDirectory() as folder:
        shown = capture(columns, rows, folder)
    console = Console(record=True, width=int(columns), file=StringIO())
    console.print(Text.from_ansi(shown), soft_wrap=True)
    svg = console.export_svg(title="multi-agent", code_format=FORMAT, unique_id="run")
    (HERE / "run.svg").write_text(placed(svg), encoding="utf-8")
