"""A fix in a repository of more than 500 files with a dependency, as a model once made it.

The file beside the other trajectories holds the bodies of its answers, given from the prompts alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from agents.roles.coder import CoderAgent
from agents.sdk.base_tree import BaseTree
from agents.sdk.result import AgentResult
from agents.sdk.workplace import Workplace
from contracts.base.paths import EVERYWHERE
from contracts.ports.model import ModelClient
from contracts.ports.workspace import Environment
from tests.agents.over_trees import LIMITS, OverTrees
from tests.agents.support import TaskMaker
from tests.models.rigs import http_client
from tests.support.model_server import ModelServer, Raw

RECORDED = Path(__file__).parent / "trajectories/a_fix_among_many_files.json"
REQUEST = "The total of an order is too low as soon as an article stands in two of its lines."
PLACE = "/environment"
DEPENDENCY = (
    "def as_cents(text):\n    whole, _, part = text.partition('.')\n    return 100 * int(whole) + int(part)\n"
)
ORDERS = b'''"""Orders and what they cost."""

from money import as_cents

from shop.catalogue import price_of


def total(lines):
    """What (article, count) lines cost, in cents."""
    costs = {article: count * as_cents(price_of(article)) for article, count in lines}
    return sum(costs.values())


def shipping(lines):
    """What sending them costs, in cents."""
    return 0 if total(lines) >= 5_000 else 490
'''
TESTS = b"""from shop.orders import shipping, total


def test_each_article_is_counted():
    assert total([("article 7", 2), ("article 8", 1)]) == 2 * 799 + 899


def test_small_orders_pay_for_shipping():
    assert shipping([("article 7", 1)]) == 490
"""
CATALOGUE = b"from importlib import import_module\n\n\ndef price_of(article):\n"
CATALOGUE += b"    number = int(article.split()[1])\n"
CATALOGUE += b'    return import_module(f"shop.articles.article_{number:03}").PRICE\n'
FILES = {
    **{f"shop/articles/article_{n:03}.py": f'PRICE = "{n}.99"\n'.encode() for n in range(520)},
    **{path: b"" for path in ("shop/__init__.py", "shop/articles/__init__.py")},
    "shop/catalogue.py": CATALOGUE,
    "shop/orders.py": ORDERS,
    "tests/test_orders.py": TESTS,
}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """One with the package that the repository needs."""
    tmp_path.chmod(0o755)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path)], check=True)
    [packages] = tmp_path.glob("lib/python*/site-packages")
    (packages / "money.py").write_text(DEPENDENCY)
    return Environment(
        MappingProxyType({PLACE: str(tmp_path), sys.base_prefix: sys.base_prefix}),
        MappingProxyType({"PATH": f"{PLACE}/bin:/usr/bin:/bin", "VIRTUAL_ENV": PLACE}),
    )


async def fix(model: ModelClient, over_trees: OverTrees, environment: Environment) -> AgentResult:
    """What a coder makes of the request."""
    maker = TaskMaker(model, over_trees)  # type: ignore[arg-type]
    task = maker(base=BaseTree(FILES), title="Totals", description=REQUEST, writable=[EVERYWHERE])
    place = Workplace(over_trees.workspaces, over_trees.commits, LIMITS, lambda: nullcontext(environment))
    async with place:
        return await CoderAgent().run(replace(task, workplace=place))


async def test_a_recorded_fix_ends_as_it_did(over_trees: OverTrees, environment: Environment) -> None:
    answers = json.loads(RECORDED.read_text())
    with ModelServer([Raw(json.dumps(answer).encode()) for answer in answers]) as server:
        async with http_client("openai", server) as model:
            result = await fix(model, over_trees, environment)
    assert len(server.requests) == len(answers)
    shown = [request.raw.decode() for request in server.requests]
    assert "2 passed" in shown[2], "the dependency is there"
    assert "AssertionError: assert 1598 == (3 * 799)" in shown[3]
    assert "3 passed" in shown[3]
    assert sorted(result.files) == ["shop/orders.py", "tests/test_orders.py"]
    written = result.files["shop/orders.py"]
    assert isinstance(written, bytes)
    assert b"    return sum(count * as_cents(price_of(article))" in written
    assert result.summary == "The total of an order counts every line of an article"
