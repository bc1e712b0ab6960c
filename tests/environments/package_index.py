"""A package index on loopback, as pip asks for it, with wheels that are made on the spot."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def wheel(name: str, modules: dict[str, str], *, requires: tuple[str, ...] = (), scripts: str = "") -> bytes:
    """A wheel of version 1.0 for every Python."""
    about = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    metadata += "".join(f"Requires-Dist: {one}\n" for one in requires)
    files = {f"{module}.py": text for module, text in modules.items()}
    files[f"{about}/METADATA"] = metadata
    files[f"{about}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    if scripts:
        files[f"{about}/entry_points.txt"] = f"[console_scripts]\n{scripts}\n"
    files[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{about}/RECORD"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return packed.getvalue()


class PackageIndex:
    """Projects by name, each with its files."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.pages: dict[str, bytes] = {}
        """By their name or path, what no wheel is behind."""
        self.asked: list[str] = []
        self.authorization = ""
        """What it must be asked with; "" for nothing."""
        self.given: list[str | None] = []
        """What it was asked with."""
        self.agents: list[str] = []
        """Which programs asked."""
        self.moved: dict[str, str] = {}
        """Path -> the address that it leads to."""
        self.look: Callable[[], None] = lambda: None
        """Called when it is asked."""
        self.url = ""

    def add(self, name: str, *, requires: tuple[str, ...] = (), scripts: str = "", **modules: str) -> None:
        """Offer a wheel."""
        content = wheel(name, modules, requires=requires, scripts=scripts)
        self.files[f"{name}-1.0-py3-none-any.whl"] = content

    def page(self, name: str) -> bytes | None:
        """The page of a project; None for an unknown one."""
        links = [f'<a href="/files/{file}">{file}</a>' for file in self.files if file.startswith(f"{name}-")]
        return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode() if links else None


@contextmanager
def serving() -> Iterator[PackageIndex]:
    """Serve an index until the end."""
    index = PackageIndex()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            index.given.append(self.headers["Authorization"] or self.headers["Proxy-Authorization"])
            index.agents.append(self.headers["User-Agent"] or "")
            index.look()
            if self.path in index.moved:
                self.say(302, Location=index.moved[self.path])
            elif index.authorization and index.given[-1] != index.authorization:
                self.say(401)
            else:
                self.answer()

        def answer(self) -> None:
            _, kind, name, *_ = [*self.path.split("/"), "", ""]
            there = index.pages.get(self.path[1:]) or index.page(name) or index.pages.get(kind)
            content = index.files.get(name) if kind == "files" else there
            kinds = {"simple": "text/html", "files": "application/octet-stream"}
            headers = {"Content-Type": kinds.get(kind, "application/json")}
            self.say(200 if content is not None else 404, content or b"", **headers)

        def say(self, status: int, content: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple/"
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
