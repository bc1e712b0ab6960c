"""How many real bug fixes agents make, judged by tests that they have not seen.

    python -m benchmarks.fixes choose MIRRORS FOLDER [--cases 8] [--each 2]
    python -m benchmarks.fixes run FOLDER [--only N]      (the model is that of the environment)
    python -m benchmarks.fixes loop FOLDER [--only N]     (one loop with the same tools, and nothing else)
    python -m benchmarks.fixes judge FOLDER
    python -m benchmarks.fixes replay FOLDER [--only N]   (without a model; 1 where an end differs)

MIRRORS holds a clone of each repository of the list as OWNER+NAME/repo. FOLDER gets a folder for each case:
the repository before the fix, the request, and after `run` the summary and the model's answers. A build of an
environment may take --build seconds, a run of tests --tests.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.fixes.again import recorded, replay
from benchmarks.fixes.beside import fix_in_a_loop
from benchmarks.fixes.cases import give, keep, kept
from benchmarks.fixes.choosing import Fix, candidates
from benchmarks.fixes.judging import Place, evidence, git, judged, lay
from contracts.base.printing import print_line
from contracts.documents.baseline import Baseline
from multi_agent.settings import load_settings

_ENDS: Final = {"summary": "verdict", "loop": "loop_verdict"}
"""What tells of an end in a case's folder, and what was found of it."""
_LIST: Final = Path(__file__).with_name("repositories.toml")


def main() -> None:
    """Do one of the five."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("step", choices=("choose", "run", "loop", "judge", "replay"))
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--each", type=int, default=2)
    parser.add_argument("--only", type=int, action="append", default=[])
    parser.add_argument("--build", type=int, default=600)
    parser.add_argument("--tests", type=int, default=300)
    options = parser.parse_args()
    folder = options.folders[-1].absolute()
    place = Place(folder / "judge", options.build, options.tests)
    place.folder.mkdir(parents=True, exist_ok=True)
    if options.step == "choose":
        names = tomllib.loads(_LIST.read_text("utf-8"))["names"]
        mirrors = options.folders[0].absolute()
        asyncio.run(choose(names, mirrors, folder, place, options.cases, options.each))
        return
    cases = [case for case in _cases(folder) if not options.only or int(case.name) in options.only]
    if not cases:
        parser.error(f"{folder} has no such case; `choose` makes them")
    if options.step == "replay":
        sys.exit(1 if [case for case in cases if _differs(case)] else 0)
    for case in cases:
        if options.step == "run":
            _run(case)
        elif options.step == "loop":
            keep(case, "loop", asyncio.run(fix_in_a_loop(case, place, load_settings())))
        else:
            for summary, name in _ENDS.items():
                keep(case, name, asyncio.run(verdict(case, place, kept(case, summary))))
    if options.step == "judge":
        for line in _table(cases):
            print_line(line)


async def choose(
    names: Sequence[str], mirrors: Path, folder: Path, place: Place, cases: int, each: int
) -> None:
    """Make a folder for each fix that serves, until there are so many, and so many of each repository.

    What was chosen stays; of its repository it goes on behind the last.
    """
    known = [kept(case, "case") for case in _cases(folder)]
    chosen: Counter[str] = Counter(stated["repository"] for stated in known)
    last = {stated["repository"]: stated["commit"] for stated in known}
    for name in names:
        mirror = mirrors / name.replace("/", "+") / "repo"
        found_there = candidates(name, Path(git("rev-parse", "--absolute-git-dir", at=mirror)))
        for fix in _behind(last.get(name), found_there):
            if chosen[name] == each or chosen.total() == cases:
                break
            found = await evidence(fix, mirror, place)
            reason = found if isinstance(found, str) else "" if found.serves else "its tests do not tell"
            print_line(f"{name} {fix.commit[:12]} {fix.request.splitlines()[0][:60]}: {reason or 'chosen'}")
            if not isinstance(found, str) and found.serves:
                chosen[name] += 1
                # Behind the last, also where one in between was taken away.
                case = folder / str(max((int(one.name) for one in _cases(folder)), default=0) + 1)
                lay(mirror, fix.parent, case / "repository")
                (case / "request.md").write_text(fix.request + "\n", "utf-8")
                whole = await judged(case / "repository", place)
                keep(case, "case", {**asdict(fix), "mirror": str(mirror), "mended": sorted(found.mended)})
                keep(case, "base", whole.model_dump(mode="json"))


def _behind(commit: str | None, fixes: Iterator[Fix]) -> Iterator[Fix]:
    """Those behind the fix that a commit is; all for None."""
    if commit is not None:
        next((fix for fix in fixes if fix.commit == commit), None)
    return fixes


def _cases(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.name.isdecimal() and (path / "case.json").exists()]
    return sorted(found, key=lambda path: int(path.name))


def _differs(case: Path) -> bool:
    found = "; ".join(replay(case))
    print_line(f"{case.name}: {found or 'ends as it did'}")
    return bool(found)


def _run(case: Path) -> None:
    """Run it. An earlier recording would be added to, so it goes."""
    model = load_settings().model_spec
    shutil.rmtree(recorded(case), ignore_errors=True)
    said = give(case, "--issue", "request.md", MULTI_AGENT_MODEL=f"record:{recorded(case)}:{model}")
    print_line(f"{case.name}: {said.get('status', 'no summary')} {said.get('reason') or ''}".rstrip())


async def verdict(case: Path, place: Place, summary: dict[str, Any]) -> dict[str, Any]:
    """Lay the tests of the fix over the result and run them, then all tests of the result alone."""
    offered = summary.get("unverified") or {}
    commit = summary.get("commit") or offered.get("commit")
    found: dict[str, Any] = {"status": summary.get("status", "no summary"), "fixed": False, "broken": []}
    found |= {key: summary.get(key) for key in ("model_calls", "input_tokens", "output_tokens", "seconds")}
    if not commit:
        return found
    stated = kept(case, "case")
    mended, mirror = stated.pop("mended"), Path(stated.pop("mirror"))
    fix = Fix(**{**stated, "sources": tuple(stated["sources"]), "tests": tuple(stated["tests"])})
    tree = place.folder / "tree"
    lay(mirror, fix.parent, tree)
    git("fetch", "-q", summary["store"], commit, at=tree)
    git("checkout", "-q", "-B", "main", commit, at=tree)
    base = Baseline.model_validate_json((case / "base.json").read_text("utf-8"))
    whole = await judged(tree, place)
    # A test that the time did not reach on the base may have failed there.
    is_known = base.complete and whole.complete
    found["broken"] = sorted(_failing(whole) - _failing(base)) if is_known else None
    git("fetch", "-q", str(mirror), fix.commit, at=tree)
    git("checkout", "-q", fix.commit, "--", *fix.tests, at=tree)
    git("commit", "-q", "--allow-empty", "-m", "The tests of the fix", at=tree)
    told = await judged(tree, place, fix.tests)
    still = sorted(set(mended) & _failing(told))
    return found | {"fixed": told.complete and told.passed > 0 and not still, "failing": still}


def _failing(run: Baseline) -> set[str]:
    return {one.test for one in (*run.failing, *run.broken)}


def _table(cases: list[Path]) -> Iterator[str]:
    """Yield the lines of a Markdown table, and the sums."""
    yield "| fix | ended | right | false done | broken | calls | input | output | s | loop: right | tokens |"
    yield "|---|---|---|---|---:|---:|---:|---:|---:|---|---:|"
    for case in cases:
        stated, verdict = kept(case, "case"), kept(case, "verdict")
        false = verdict["status"] == "completed" and not verdict["fixed"]
        cells = [f"{stated['repository']} {stated['commit'][:12]}", verdict["status"]]
        broken = verdict["broken"]
        cells += ["yes" if verdict["fixed"] else "no", "yes" if false else "no"]
        cells.append("not known" if broken is None else len(broken))
        cells += [verdict[key] for key in ("model_calls", "input_tokens", "output_tokens", "seconds")]
        cells += _of_loop(kept(case, "loop_verdict"))
        yield f"| {' | '.join(map(str, cells))} |"


def _of_loop(verdict: dict[str, Any]) -> list[str]:
    """Whether one loop fixed it, and with how many tokens; "" for what was not tried."""
    if not verdict.get("model_calls"):
        return ["", ""]
    return ["yes" if verdict["fixed"] else "no", str(verdict["input_tokens"] + verdict["output_tokens"])]


if __name__ == "__main__":
    main()
