"""A turn of a model against the bare SDK's stream loop, on the same server: CPU, and the bytes of a request."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import measure

import release
from pilothouse import harbour as sandbox
from pilothouse.engine.looks import Look
from pilothouse.engine.persona import Brief, Talk, consult
from pilothouse.engine.world import Log, World
from pilothouse.events import Consulted, ModelAnswered
from pilothouse.guard.budget import Spent
from pilothouse.ledger.sqlite import SqliteJournal
from pilothouse.llm.anthropic import AnthropicModel
from pilothouse.model import Kind, Step
from pilothouse.nets import GuardedJournal
from pilothouse.ports import Ask
from pilothouse.redaction import Redactor
from pilothouse.settings import Models
from pilothouse.workspace import SystemClock

TESTS = Path(__file__).resolve().parent.parent / "tests"
ROUNDS, TURNS = 9, 6
KEY = "sk-ant-bench-0123456789-not-a-key"
CHAIN, RUN = "acme", "r-2026-11-21-01"

# Replies as a persona's are: some thinking, a paragraph, on and on; at last the verdict.
SERVER = f"""
import json, sys
sys.path.insert(0, {str(TESTS)!r})
from llm.model_server import ModelServer, Say, text, thought
on = Say((thought("The range touches the checkout. " * 12), text("I read what changed in the checkout first. " * 12)), stop="pause_turn")
end = Say((text(json.dumps({{"verdict": "go", "reasons": ["Nothing speaks against it."]}})),))
server = ModelServer(lambda asked: end if asked.turn == {TURNS - 1} else on, key={KEY!r})
print(server.url, flush=True)
sys.stdin.read()
"""
SCHEMA: dict[str, Any] = {
    "type": "object", "additionalProperties": False, "required": ["path"],
    "properties": {"path": {"type": "string"}, "from": {"type": "string"}, "to": {"type": "string"}},
}  # fmt: skip
ANSWER: dict[str, Any] = {
    "type": "object", "additionalProperties": False, "required": ["verdict", "reasons"],
    "properties": {"verdict": {"type": "string", "enum": ["go", "hold"]}, "reasons": {"type": "array", "items": {"type": "string"}}},
}  # fmt: skip
LOOKS = {
    name: Look(name, "Read what the repository holds. " * 4, SCHEMA, lambda _given: "")
    for name in ("git__read", "git__grep", "git__diff", "git__list")
}
QUESTION = "Is this range fit to be released? " * 300
SYSTEM = ("You are the release manager of a careful team. " * 60,)


def rows(project: Path, folder: Path) -> list[measure.Row]:
    """CPU a turn, without and with the durable ledger entry, and the bytes of a request.

    Args:
        project: one that has shipped a release.
        folder: an empty folder on a disk.
    """
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        return _measured(server.stdout.readline().strip(), project, folder)
    finally:
        server.stdin.close()
        server.stdout.close()
        server.wait(10)


def _measured(url: str, project: Path, folder: Path) -> list[measure.Row]:
    import anthropic

    models = Models(base_url=url)
    model = AnthropicModel(models, {"ANTHROPIC_API_KEY": KEY})
    bare = anthropic.Anthropic(api_key=KEY, base_url=url)
    log = _log(project, folder)
    brief = Brief("release-manager", "verdict", models.of("release-manager"), SYSTEM, LOOKS, QUESTION, ANSWER)
    steps = (Step(f"step-{number}", "release-manager", Kind.VERDICT, "readiness") for number in range(10_000))

    def theirs() -> None:
        messages: list[Any] = [{"role": "user", "content": QUESTION}]
        for _ in range(TURNS):
            with bare.messages.stream(**_bare(tuple(messages))) as stream:
                said = stream.get_final_message()
            messages.append({"role": "assistant", "content": [block.to_dict() for block in said.content]})

    def ours() -> None:
        consult(Talk(log, next(steps), brief, model, models, Spent()))

    cases: dict[str, Callable[[], object]] = {"bare": theirs, "ours": ours}
    took: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS + 1):
        for name, conversation in cases.items():
            began = time.process_time()
            conversation()
            took[name].append((time.process_time() - began) / TURNS)
    median = {name: statistics.median(times[1:]) for name, times in took.items()}  # the first round warms up
    messages: tuple[Any, ...] = ({"role": "user", "content": QUESTION},)
    tools = tuple(_bare(messages)["tools"])
    ask = Ask("claude-sonnet-5", SYSTEM, tools, messages, ANSWER, 8000)
    sizes = len(_encoded(model.request(ask))) / len(_encoded(_bare(messages)))
    model.close()
    bare.close()
    note = f"{1000 * median['bare']:.1f} ms a turn of the SDK's loop here; ours with the durable ledger entry"
    return [
        measure.Row("model turn / the SDK's stream loop (CPU)", median["ours"] / median["bare"], 1.5, note=note),
        measure.Row("request / that of a raw loop with the same content (bytes)", sizes, 1.05),
    ]


def _log(project: Path, folder: Path) -> Log:
    """A run on a ledger of its own, with the facts of a real one's beginning."""
    started = SqliteJournal(project / ".pilothouse" / "ledger.db").read(CHAIN)[0].fact
    journal = GuardedJournal(SqliteJournal(folder / "ledger.db"), lambda: Redactor([]))
    journal.append(CHAIN, RUN, [started], _now())
    nobody: Any = None
    world = World(
        journal=journal, tools=nobody, personas=nobody, clock=SystemClock(), workflow=nobody, configuration=nobody,
        chain=CHAIN,
    )  # fmt: skip
    return Log.open(world, RUN)


def _bare(messages: tuple[Any, ...]) -> dict[str, Any]:
    """The request of a raw loop: nothing marked for the cache."""
    tools = [
        {"name": name, "description": look.about, "input_schema": look.schema, "strict": True}
        for name, look in LOOKS.items()
    ]
    return {
        "model": "claude-sonnet-5", "max_tokens": 8000, "tools": tools, "system": SYSTEM[0],
        "messages": list(messages), "output_config": {"format": {"type": "json_schema", "schema": ANSWER}},
    }  # fmt: skip


def _encoded(request: dict[str, Any]) -> bytes:
    return json.dumps({**request, "stream": True}, separators=(",", ":"), ensure_ascii=False).encode()


def tokens(folder: Path) -> list[measure.Row]:
    """What a whole release uses up by persona, where every agent looks with four tools before it answers.

    Tokens are the test server's count (four characters each): the figure says who reads much, not what is paid.
    """
    from pilothouse.app import Pilothouse
    from pilothouse.harbour import Variant

    sys.path.insert(0, str(TESTS))
    from llm import playing
    from llm.model_server import ModelServer

    with ModelServer(playing.helpful, key=KEY) as server:
        variant = Variant(models=f"models: {{base_url: {server.url}}}\n")
        world = sandbox.up(folder / "world", watch_seconds=2.0, variant=variant)
        try:
            environ = {**os.environ, **world.environment, "ANTHROPIC_API_KEY": KEY}
            measure.run([*measure.command(), *release.ship(world)], env=environ)
            app = Pilothouse(world.project, environ=environ)
            by_agent: Counter[str] = Counter()
            asked: dict[str, str] = {}
            turns: Counter[str] = Counter()
            for event in app.journal.read(CHAIN):
                if isinstance(event.fact, Consulted):
                    asked[event.fact.step] = event.fact.agent
                if isinstance(event.fact, ModelAnswered):
                    by_agent[asked[event.fact.step]] += event.fact.tokens
                    turns[asked[event.fact.step]] += 1
            app.close()
        finally:
            sandbox.down(world.folder)
    return [
        measure.Row(f"tokens of a release: {agent}", count, unit="t", note=f"{turns[agent]} turns")
        for agent, count in by_agent.most_common()
    ]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
