"""``make mutation``: how much of the guard's code is held by tests. Every small change is tried; survivors are told.

    python tests/laws/run_mutation.py                       # everything, and the page docs/mutation.md anew
    python tests/laws/run_mutation.py guard/decide.py       # one file, told on the terminal
    python tests/laws/run_mutation.py --seconds 600 …       # stop after so long; what was not tried is counted

One pytest session collects the tests once and notes which lines each of them runs. Then each mutant gets a fork of that
session: the function's code is exchanged in place, and only the tests that run its line are run, the quickest first.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import CodeType, FunctionType

import coverage
import pytest
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).resolve().parents[2]
CODE = ROOT / "src" / "pilothouse"
sys.path.insert(0, str(ROOT / "tests"))

from laws.mutations import Mutant, mutants_of  # noqa: E402 - found only from here
from laws.survivors import REASONS  # noqa: E402

TESTS = (
    "tests/guard", "tests/engine", "tests/laws/test_effects.py", "tests/laws/test_approvals.py", "tests/laws/test_releases.py",
    "tests/laws/test_crashes.py", "tests/laws/test_people.py",
)  # fmt: skip
# Laws of the tools: they start processes and servers, and run nothing of the guard.
NOT_THESE = "not (" + " or ".join(f"_i{n:02d}_" for n in (1, 6, 7, 8, 9, 13, 17, 18, 19, 21, 24, 37, 39)) + ")"
WANTED = 95  # per cent
KILLED = frozenset({"killed", "endless"})
ENOUGH = 30  # seconds that a test may take longer than without a mutant; then it does not end


def targets() -> list[str]:
    """The files whose code is mutated, relative to src/pilothouse."""
    guard = sorted(f"guard/{file.name}" for file in (CODE / "guard").glob("*.py") if file.name != "__init__.py")
    return [*guard, "engine/perform.py"]


class Session:
    """The plugin that takes over once the tests are collected."""

    def __init__(self, chosen: list[str], seconds: float) -> None:
        self.files = {str(CODE / name): name for name in chosen}
        self.until = time.monotonic() + seconds
        self.lines: dict[tuple[str, int], list[pytest.Item]] = defaultdict(list)
        self.took: dict[str, float] = {}
        self.results: list[tuple[Mutant, str]] = []
        self.broken: list[str] = []
        self.failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notice failures, of the plain run and within a fork."""
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run every test once, plain and followed; then every mutant against those that run its line."""
        self._follow(session.items)
        self._leave_out(self._failing_again([item for item in session.items if item.nodeid not in self.broken]))
        print(f"\n{len(session.items) - len(self.broken)} tests pass without mutants", flush=True)
        if self.broken:
            print("these do not, and are left out:", *self.broken, sep="\n  ", flush=True)
        for name in self.files.values():
            self._try_all(name)
        return True

    def _follow(self, items: list[pytest.Item]) -> None:
        lines = coverage.Coverage(data_file=None, config_file=False, include=list(self.files))
        lines.start()
        for item in items:
            lines.switch_context(item.nodeid)
            began = time.monotonic()
            if not self._passes(item):
                self.broken.append(item.nodeid)
            self.took[item.nodeid] = time.monotonic() - began
        lines.stop()
        by_id = {item.nodeid: item for item in items if item.nodeid not in self.broken}
        for path, name in self.files.items():
            for line, contexts in lines.get_data().contexts_by_lineno(path).items():
                self.lines[name, line] = [by_id[context] for context in contexts if context in by_id]

    def _failing_again(self, items: list[pytest.Item]) -> set[str]:
        """Which tests do not pass a second time, in a fork and without a mutant: they would kill everything."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                hush()
                os.write(writing, "\n".join(item.nodeid for item in items if not self._passes(item)).encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as told:
            failing = set(told.read().split("\n")) - {""}
        os.waitpid(child, 0)
        return failing

    def _leave_out(self, failing: set[str]) -> None:
        self.broken += sorted(failing)
        for key, items in self.lines.items():
            self.lines[key] = [item for item in items if item.nodeid not in failing]

    def _passes(self, item: pytest.Item) -> bool:
        self.failed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return not self.failed

    def _try_all(self, name: str) -> None:
        source = (CODE / name).read_text(encoding="utf-8")
        module = sys.modules["pilothouse." + name.removesuffix(".py").replace("/", ".")]
        for mutant in mutants_of(name, source):
            if time.monotonic() > self.until:
                self.results.append((mutant, "not tried"))
                continue
            run: dict[str, pytest.Item] = {}
            for line in mutant.lines:
                run.update({item.nodeid: item for item in self.lines.get((name, line), ())})
            if mutant.constant:  # of the module: whichever test runs anything of it
                run = {item.nodeid: item for (file, _), items in self.lines.items() if file == name for item in items}
            items = sorted(run.values(), key=lambda item: self.took[item.nodeid])
            verdict = self._try(mutant, module, items) if items else "no test runs it"
            self.results.append((mutant, verdict))
            if verdict not in KILLED:
                print(f"{verdict}: {mutant.id}", flush=True)
        counted = [verdict for mutant, verdict in self.results if mutant.file == name]
        killed = sum(verdict in KILLED for verdict in counted)
        print(f"{name}: {killed} of {len(counted)} killed", flush=True)

    def _try(self, mutant: Mutant, module: object, items: list[pytest.Item]) -> str:
        child = os.fork()
        if child == 0:
            code = 3
            try:
                hush()
                put_in(mutant, module)
                code = 0
                for item in items:
                    # By itself, so that a slow machine and many tests do not look like a test that does not end.
                    signal.setitimer(signal.ITIMER_REAL, ENOUGH + 10 * self.took[item.nodeid])
                    if not self._passes(item):
                        code = 1
                        break
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return "endless"
        return {0: "survived", 1: "killed"}.get(os.WEXITSTATUS(status), "broken")


def hush() -> None:
    """What a fork says is nothing for the terminal."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)


def put_in(mutant: Mutant, module: object) -> None:
    """Exchange the code of the mutated function, or the value of the mutated constant, in this process."""
    code = compile(mutant.tree, mutant.file, "exec")
    if mutant.constant:
        made: dict[str, object] = dict(vars(module))
        wanted = [
            node
            for node in mutant.tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign) and mutant.constant in ast.unparse(node).split("=")[0]
        ]
        exec(compile(ast.Module(wanted[:1], []), mutant.file, "exec"), made)
        old = vars(module)[mutant.constant]
        for other in list(sys.modules.values()):
            if getattr(other, "__dict__", {}).get(mutant.constant) is old:
                setattr(other, mutant.constant, made[mutant.constant])
        return
    found = function_of(module, mutant.function)
    found.__code__ = code_of(code, mutant.function)


def function_of(module: object, name: str) -> FunctionType:
    """A function or method, below whatever wraps it."""
    found: object = module
    for part in name.split("."):
        found = vars(found)[part]
    if hasattr(found, "cache_clear"):  # what was kept is of the code as it was
        found.cache_clear()
    for wrapper in ("fget", "__func__", "__wrapped__"):
        found = getattr(found, wrapper, found)
    assert isinstance(found, FunctionType)
    return found


def code_of(code: CodeType, name: str) -> CodeType:
    """The code of a function within a module's."""
    stack = [code]
    while stack:
        here = stack.pop()
        if here.co_qualname == name:
            return here
        stack += [item for item in here.co_consts if isinstance(item, CodeType)]
    raise LookupError(name)


def page(results: list[tuple[Mutant, str]]) -> str:
    """docs/mutation.md."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for mutant, verdict in results:
        by_file[mutant.file].append(verdict)
    rows = []
    for name, verdicts in [*by_file.items(), ("**all**", [verdict for _, verdict in results])]:
        killed = sum(verdict in KILLED for verdict in verdicts)
        rows.append(f"| {name} | {len(verdicts)} | {killed} | {100 * killed / len(verdicts):.1f} % |")
    left = [(mutant, verdict) for mutant, verdict in results if verdict not in KILLED]
    told = [
        f"| `{mutant.file}` `{mutant.function or mutant.constant}` | `{mutant.was}` → `{mutant.now}` | {verdict}: "
        f"{REASONS.get(mutant.id, 'no reason is known')} |".replace(" | | ", " | ")
        for mutant, verdict in left
    ]
    return "\n".join([
        "# Mutation testing", "",
        "How much of the guard's code is held by tests: every small change of it is tried, and the tests that run the",
        "changed line must notice. This page is written by `make mutation`; the numbers are of its last whole run.", "",
        "Tried: comparisons, `and`/`or`, `not`, conditions turned round, constants (numbers, flags, and words that are",
        "compared or looked up), arithmetic, `return None`, and statements, `raise` and calls left out. Not tried: the words of",
        "messages, type annotations, asserts (they are for the type checker), defaults of fields and parameters. A mutant with",
        "which a test does not end is noticed, too.", "",
        "mutmut and cosmic-ray were not taken: mutmut changes every message (most of its mutants here), and cosmic-ray starts",
        "Python and collects the tests anew for each mutant. `tests/laws/run_mutation.py` forks one collected session and",
        "exchanges a function's code in place, so that a mutant costs the tests that run its line and nothing else.", "",
        "| file | mutants | killed | rate |", "|---|---|---|---|", *rows, "",
        "## Survivors", "", "| where | change | why it survives |", "|---|---|---|", *told,
    ]) + "\n"  # fmt: skip


def main() -> int:
    """0 where enough is killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="guard/decide.py …; none: all of them")
    parser.add_argument("--seconds", type=float, default=7200)
    parser.add_argument("--json", type=Path, help="write every verdict here")
    asked = parser.parse_args()
    settings.register_profile(
        "mutation", phases=[Phase.explicit, Phase.generate], deadline=None, derandomize=True, database=None,
        suppress_health_check=[HealthCheck.too_slow],  # the machine is no mutant
    )  # fmt: skip
    settings.load_profile("mutation")
    session = Session(asked.files or targets(), asked.seconds)
    os.chdir(ROOT)
    there = [name for name in TESTS if (ROOT / name).exists()]
    pytest.main(
        [
            "-q",
            "-p",
            "no:cacheprovider",
            "-s",
            "--tb=no",
            "-W",
            "ignore::pytest.PytestAssertRewriteWarning",
            "-k",
            NOT_THESE,
            *there,
        ],
        plugins=[session],
    )
    if not session.results:
        return 2
    left = [(mutant, verdict) for mutant, verdict in session.results if verdict not in KILLED]
    told = [(mutant.id, verdict, REASONS.get(mutant.id, "")) for mutant, verdict in left]
    for name, verdict, reason in told:
        if not reason:
            print(f"without a reason: {verdict}: {name}")
    if asked.json:
        asked.json.write_text(json.dumps([(mutant.id, verdict) for mutant, verdict in session.results], indent=0))
    killed = len(session.results) - len(left)
    rate = 100 * killed / len(session.results)
    print(f"{killed} of {len(session.results)} mutants are killed: {rate:.1f} %")
    if not asked.files and not session.broken and not any(verdict == "not tried" for _, verdict in session.results):
        (ROOT / "docs" / "mutation.md").write_text(page(session.results), encoding="utf-8")
    return 0 if rate >= WANTED and not session.broken else 1


if __name__ == "__main__":
    sys.exit(main())
