"""A private Prometheus that scrapes on loopback, for tests, and its checker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import yaml

from multi_agent.chaos.services.postgres import free_port
from multi_agent.embedded.child import ChildProcess
from tests.support import need

START_SECONDS = 30.0
SCRAPE_SECONDS = 0.5


def promtool(*words: str | Path, folder: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run Prometheus's own checker in a folder; skips (fails in CI) where there is none."""
    need(shutil.which("promtool") is not None, "promtool is not installed (Debian: apt install prometheus)")
    return subprocess.run(
        ["promtool", *map(str, words)],
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class PrivatePrometheus:
    """Scrapes ports twice a second, with the rules of a file, under the name that ours are known by."""

    def __init__(self, ports: Sequence[int], rules: Path) -> None:
        need(
            shutil.which("prometheus") is not None,
            "Prometheus is not installed (Debian: apt install prometheus)",
        )
        self.folder = Path(tempfile.mkdtemp(prefix="prometheus-", dir="/tmp"))
        self.port = free_port()
        settings = {
            "global": {
                "scrape_interval": f"{SCRAPE_SECONDS * 1_000:.0f}ms",
                "scrape_timeout": f"{SCRAPE_SECONDS * 1_000:.0f}ms",
                "evaluation_interval": "1s",
            },
            "rule_files": [str(rules)],
            "scrape_configs": [
                {
                    "job_name": "multi-agent",
                    "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
                }
            ],
        }
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
        self._process = ChildProcess(
            [
                "prometheus",
                f"--config.file={self.folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            log=self.folder / "prometheus.log",
            env={"PATH": os.environ["PATH"]},
        )

    def __enter__(self) -> Self:
        self._process.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if not self._process.alive or time.monotonic() > deadline:
                raise RuntimeError(f"no Prometheus: {(self.folder / 'prometheus.log').read_text()}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """What a query gives now: a list of samples. Raises AssertionError for one that is wrong."""
        words = urllib.parse.urlencode({"query": expr})
        try:
            with urllib.request.urlopen(self._url(f"api/v1/query?{words}"), timeout=10) as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expr}: {error.read().decode()}") from None
        return found

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self._url("-/ready"), timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"
