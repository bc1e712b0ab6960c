"""A local server that speaks the REST interfaces of GitHub and GitLab, and Git over HTTP, as strictly.

    with ForgeServer(folder) as server:
        ... server.url, server.host, server.calls, server.bare("acme/tool") ...

What is not known to it is answered with 404, a field that it does not know with 422, a call without the token
with 401. Git is served by `git http-backend`.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "forge-token-0123456789"
GITHUB_FIELDS = {"title", "body", "head", "base", "draft"}
PROJECT, FORK = 1, 2
GITLAB_FIELDS = {"title", "description", "source_branch", "target_branch"}


@dataclass
class Reply:
    """What is answered."""

    status: int
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    pause: float = 0.0
    """Seconds before each byte of the body."""
    head_pause: float = 0.0
    """Seconds before each byte of a head that has no end."""


class ForgeServer:
    """One server with one project, `acme/tool`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[tuple[str, str, dict[str, str]]] = []
        """Method, path and headers of each call."""
        self.requests: list[dict[str, Any]] = []
        """Pull or merge requests, as their creator sent them, with `number`, `draft`, `state` and `project`,
        the one that holds the branch."""
        self.issue: dict[str, Any] = {"title": "Slugs lose umlauts", "body": "`slug('ä')` is empty."}
        self.comments: list[dict[str, Any]] = []
        self.answers: dict[str, Reply] = {}
        """What a path is answered with instead."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}"

    def __enter__(self) -> ForgeServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def bare(self, name: str = "acme/tool") -> Path:
        """The bare repository of a project, made when it is asked for first."""
        path = self.folder / f"{name}.git"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
            subprocess.run(["git", "config", "http.receivepack", "true"], cwd=path, check=True)
        return path

    def reply(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Reply:
        """What a call of the REST interface is answered with."""
        if path in self.answers:
            return self.answers[path]
        speakers = {"/api/v3/repos/acme/tool": self._github, "/api/v4/projects/acme/tool": self._gitlab}
        found = [(begin, speak) for begin, speak in speakers.items() if path.startswith(begin)]
        for begin, speak in found:
            if answer := speak(method, path.removeprefix(begin), query, body):
                return answer
        return Reply(404, {"message": "Not Found"})

    def _github(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Reply | None:  # noqa: PLR0911
        match method, path:
            case "GET", "":
                return Reply(200, {"default_branch": "main"})
            case "GET", "/issues/7":
                return Reply(200, {**self.issue, "number": 7})
            case "GET", "/issues/7/comments":
                return Reply(200, self.comments)
            case "GET", "/pulls":
                owner, _, branch = query["head"].partition(":")
                assert owner == "acme"
                return Reply(200, [self._as_github(one) for one in self._found("head", branch, query)])
            case "POST", "/pulls":
                return self._open(
                    body, GITHUB_FIELDS, "head", self._as_github, draft=body.get("draft", False)
                )
            case "PATCH", _ if which := re.fullmatch(r"/pulls/(\d+)", path):
                return self._change(int(which[1]), body, {"title", "body"}, self._as_github)
        return None

    def _gitlab(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Reply | None:  # noqa: PLR0911
        match method, path:
            case "GET", "":
                return Reply(200, {"default_branch": "main"})
            case "GET", "/issues/7":
                return Reply(200, {"title": self.issue["title"], "description": self.issue["body"], "iid": 7})
            case "GET", "/issues/7/notes":
                return Reply(200, self.comments)
            case "GET", "/members/all":
                return Reply(200, [{"id": 1, "access_level": 40}, {"id": 2, "access_level": 10}])
            case "GET", "/merge_requests":
                found = self._found("source_branch", query["source_branch"], query)
                return Reply(200, [self._as_gitlab(one) for one in found])
            case "POST", "/merge_requests":
                draft = body.get("title", "").startswith("Draft: ")
                return self._open(body, GITLAB_FIELDS, "source_branch", self._as_gitlab, draft=draft)
            case "PUT", _ if which := re.fullmatch(r"/merge_requests/(\d+)", path):
                return self._change(int(which[1]), body, {"title", "description"}, self._as_gitlab)
        return None

    def _found(self, head: str, branch: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        found = [one for one in self.requests if one[head] == branch and one["state"] == "open"]
        return found[: int(query.get("per_page", "20"))]

    def _open(self, body: Any, known: set[str], head: str, shown: Any, *, draft: bool) -> Reply:
        if unknown := set(body) - known:
            return Reply(422, {"message": f"unknown {unknown}"})
        if self._tip(body[head]) is None:
            return Reply(422, {"message": "the branch is not there"})
        ours = [one for one in self.requests if one["project"] == PROJECT]
        if any(one[head] == body[head] and one["state"] == "open" for one in ours):
            return Reply(422, {"message": "a request exists"})
        more = {"number": len(self.requests) + 1, "draft": draft, "state": "open", "project": PROJECT}
        self.requests.append({**body, **more})
        return Reply(201, shown(self.requests[-1]))

    def _change(self, number: int, body: Any, known: set[str], shown: Any) -> Reply:
        if unknown := set(body) - known:
            return Reply(422, {"message": f"unknown {unknown}"})
        self.requests[number - 1].update(body)
        return Reply(200, shown(self.requests[number - 1]))

    def _as_github(self, one: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.url}/acme/tool/pull/{one['number']}"
        head = {"ref": one["head"], "sha": self._tip(one["head"]), "repo": {"id": one["project"]}}
        return {**one, "html_url": url, "head": head, "base": {"repo": {"id": PROJECT}}}

    def _as_gitlab(self, one: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.url}/acme/tool/-/merge_requests/{one['number']}"
        projects = {"source_project_id": one["project"], "target_project_id": PROJECT}
        sha = self._tip(one["source_branch"])
        return {**one, **projects, "iid": one["number"], "web_url": url, "sha": sha}

    def _tip(self, branch: str) -> str | None:
        words = ["git", "rev-parse", "-q", "--verify", f"refs/heads/{branch}"]
        found = subprocess.run(words, cwd=self.bare(), capture_output=True, text=True, check=False)
        return found.stdout.strip() or None


def _handler(server: ForgeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.calls.append((self.command, self.path, headers))
            parts = urlsplit(self.path)
            if ".git/" in parts.path:
                self._git(parts.path, parts.query, raw, headers)
                return
            path = unquote(parts.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            answer = Reply(401, {"message": "Bad credentials"})
            if _knows(headers):
                answer = server.reply(self.command, path, query, json.loads(raw) if raw else None)
            self._send(answer)

        do_GET = do_POST = do_PATCH = do_PUT = _serve  # noqa: N815

        def _send(self, answer: Reply) -> None:
            content = json.dumps(answer.value).encode() if answer.raw is None else answer.raw
            if answer.head_pause:
                _write(self.wfile, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20, answer.head_pause)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            _write(self.wfile, content, answer.pause)

        def _git(self, path: str, query: str, raw: bytes, headers: Mapping[str, str]) -> None:
            if not _knows(headers):
                self._send(Reply(401, {}, {"WWW-Authenticate": "Basic"}))
                return
            env = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(server.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": headers.get("content-type", ""),
                "CONTENT_LENGTH": str(len(raw)),
                "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
                "GIT_PROTOCOL": headers.get("git-protocol", ""),
                "REMOTE_USER": "acme",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
            }
            words = ["git", "http-backend"]
            done = subprocess.run(words, input=raw, env=env, capture_output=True, check=True)
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            sent = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            status = int(sent.pop("Status", "200").split()[0])
            self._send(Reply(status, headers=sent, raw=content))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def _write(file: BufferedIOBase, content: bytes, pause: float) -> None:
    """Write it, each byte by itself where there is a pause."""
    with suppress(OSError):
        for piece in [bytes([one]) for one in content] if pause else [content]:
            time.sleep(pause)
            file.write(piece)


def _knows(headers: Mapping[str, str]) -> bool:
    """Whether the token is there, as the interfaces and Git send it."""
    sent = headers.get("authorization", "")
    if sent.startswith("Basic "):
        return base64.b64decode(sent[6:]).decode().endswith(f":{TOKEN}")
    return sent == f"Bearer {TOKEN}" or headers.get("private-token") == TOKEN


def serving(folder: Path) -> Iterator[ForgeServer]:
    """For a fixture."""
    with ForgeServer(folder) as server:
        yield server
