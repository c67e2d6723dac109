"""Test suites, run in an isolated checkout of the pinned commit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilothouse.model import Argument, Observation
from pilothouse_tools import child, commands
from pilothouse_tools.door import Arguments, observes
from pilothouse_tools.text import output

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse.settings import Suite
    from pilothouse_tools.context import Context

_LOG = 6000
_ANSI = re.compile(rb"\x1b\[[0-9;]*m")
_UNITTEST = re.compile(rb"^Ran (\d+) tests? in ", re.MULTILINE)
_UNITTEST_BAD = re.compile(rb"^FAILED \(([^)\n]*)\)", re.MULTILINE)
_PYTEST = re.compile(rb"^=* ?((?:\d+ [a-z]+(?:, )?)+) in [0-9.]+m?s.*$|^=* ?no tests ran in ", re.MULTILINE)
_JEST = re.compile(rb"^Tests: +(.*?)(\d+) total", re.MULTILINE)
_TAP = re.compile(rb"^# (tests|fail) (\d+)$", re.MULTILINE)
_COUNT = re.compile(rb"(\d+) ([a-z]+)|([a-z ]+)=(\d+)")


@dataclass(frozen=True, slots=True)
class Totals:
    """What a suite's own summary says; ``known`` where there is one."""

    total: int = 0
    failed: int = 0
    known: bool = False


def totals(written: bytes) -> Totals:
    """Totals from the summaries of unittest, pytest, Jest and TAP (node --test); several summaries are added up."""
    text = _ANSI.sub(b"", written)
    if ran := _UNITTEST.findall(text):
        bad = sum(
            _counted(line, (b"failures", b"errors", b"unexpected successes")) for line in _UNITTEST_BAD.findall(text)
        )
        return Totals(sum(map(int, ran)), bad, known=True)
    if lines := list(_PYTEST.finditer(text)):
        counted = [line.group(1) or b"" for line in lines]
        bad = sum(_counted(line, (b"failed", b"error", b"errors")) for line in counted)
        return Totals(
            sum(
                _counted(line, (b"failed", b"error", b"errors", b"passed", b"xfailed", b"xpassed")) for line in counted
            ),
            bad,
            known=True,
        )
    if found := _JEST.findall(text):
        return Totals(
            sum(int(total) for _, total in found), sum(_counted(rest, (b"failed",)) for rest, _ in found), known=True
        )
    if tap := _TAP.findall(text):
        tests, bad = (sum(int(number) for name, number in tap if name == which) for which in (b"tests", b"fail"))
        return Totals(tests, bad, known=True)
    return Totals()


def _counted(text: bytes, words: tuple[bytes, ...]) -> int:
    found = ((word or name.strip(), number or value) for number, word, name, value in _COUNT.findall(text))
    return sum(int(number) for word, number in found if word in words)


def _run(context: Context, arguments: Arguments) -> Observation:
    name, sha = arguments.text("suite"), arguments.text("sha")
    suite = context.product.suites.get(name)
    if suite is None:
        facts: dict[str, Json] = {
            "suite": name,
            "configured": False,
            "passed": False,
            "exit": 0,
            "total": 0,
            "failed": 0,
            "ms": 0,
            "log": "",
            "url": "",
        }
        return Observation(facts, sha, f"{name}: not configured")
    done, url = _done(context, suite, sha, arguments.text("environment"))
    said = totals(done.stdout + b"\n" + done.stderr)
    # Exit 0 alone is not enough: a suite that found nothing to run has shown nothing.
    passed = done.code == 0 and not done.timed_out and not said.failed and not (said.known and not said.total)
    log = output(done.stdout + b"\n" + done.stderr, _LOG, context.redact)
    if done.timed_out:
        log += f"\n[ended after {suite.timeout:g} s: it ran out of time]"
    summary = (
        f"{name}: {said.total - said.failed}/{said.total}"
        if said.known
        else f"{name}: {'passed' if passed else 'failed'}"
    )
    return Observation(
        {
            "suite": name,
            "configured": True,
            "passed": passed,
            "exit": done.code,
            "total": said.total,
            "failed": said.failed,
            "ms": done.ms,
            "log": log,
            "url": url,
        },
        sha,
        summary,
    )


def _done(context: Context, suite: Suite, sha: str, target: str) -> tuple[child.Finished, str]:
    # A suite tests, it does not operate: it gets the environment's address, never its credentials.
    url = context.environment(target).url if target else ""
    variable = {suite.environment: url} if target and suite.environment else {}
    with commands.checkout(context, sha) as place:
        env = {**context.child_environ(home=place.home), **variable}
        return child.run(suite.run, cwd=place.folder, env=env, timeout=suite.timeout, output_cap=2_000_000), url


TOOLS = (
    observes(
        "tests.run",
        "Run a configured suite in an isolated checkout of a commit, against an environment where one is named.",
        {
            "suite": Argument("suite"), "sha": Argument("sha"), "environment": Argument("environment", required=False),
            "version": Argument("version", required=False),
        },
        {
            "suite": "suite", "configured": "flag", "passed": "flag", "exit": "integer", "total": "integer",
            "failed": "integer", "ms": "integer", "log": "text", "url": "text",
        },
        _run,
    ),
)  # fmt: skip
