"""What an agent may look at in one step: its role's observe tools, cut down to this step, with pinned arguments (I37).

A slice of a diff or a file takes what it is to show from the model, and the commits from the run. A fresh look takes
nothing from the model at all. Evidence is read from the ledger. None of them changes anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pilothouse.canonical import Json
from pilothouse.engine.steps import arguments_of
from pilothouse.engine.world import Log
from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, Kind, Step, ToolSpec

# Slices, with the arguments that the run pins: by the value of ``{run: …}``.
SLICES: Mapping[str, Mapping[str, str]] = {
    "git.diff": {"from": "from_sha", "to": "to_sha"},
    "git.grep": {"sha": "to_sha"},
    "git.list": {"sha": "to_sha"},
    "git.read": {"sha": "to_sha"},
}
# Observe tools that only ask: none of them runs the product's code, and none takes long.
FRESH = frozenset({
    "health.check", "metrics.sample", "logs.scan", "forge.ci", "forge.issues", "forge.open_pulls", "deploy.current",
    "settings.drift", "migrations.pending", "backup.compare",
})  # fmt: skip
RESULT = 24_000  # characters of one result
_HIDDEN = "\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"  # what stands between letters unseen
_FENCE = re.compile(rf"[<＜﹤](?=[\s/／{_HIDDEN}]*{f'[{_HIDDEN}]*'.join('data')})", re.IGNORECASE)
_JSON = {"integer": "integer", "flag": "boolean", "names": "array", "labels": "array", "object": "object"}


@dataclass(frozen=True, slots=True)
class Look:
    """One tool as a model sees it: what it is called in Pilothouse, what it is for, what it takes, and the call."""

    tool: str
    about: str
    schema: Json
    call: Callable[[Mapping[str, Json]], str]


def looks(log: Log, step: Step, observes: Iterable[str], *, wide: bool) -> dict[str, Look]:
    """The tools of an agent in a step, by the name that a model uses (a model's names have no dots).

    Args:
        log: the run's.
        step: that asks.
        observes: the observe tools of the agent's role.
        wide: whether it may look again at whatever this run has looked at (trouble, a watch), and not only at what the
            step itself rests on: what it reads and what its gates judge.
    """
    specs = log.world.tools.specs()
    found = {"evidence__list": _listing(log), "evidence__read": _reading(log)}
    for name in sorted(set(observes)):
        spec = specs.get(name)
        if spec is None or spec.kind is not Kind.OBSERVE:
            continue
        if name in SLICES:
            found[name.replace(".", "__")] = _slice(log, spec)
        elif name in FRESH and (source := _source(log, name, None if wide else _ground(log, step))) is not None:
            found[name.replace(".", "__")] = _fresh(log, spec, source)
    return found


def fenced(text: str, *, source: str, identity: str = "", most: int = RESULT) -> str:
    """A stranger's text as data, with where it is from; what would close the fence is made harmless."""
    cut = f"\n… {len(text) - most} characters more" if len(text) > most else ""
    inner = _FENCE.sub("&lt;", text[:most])
    known = f' id="{identity}"' if identity else ""
    return f'<data{known} from="{source}" trust="none">\n{inner}{cut}\n</data>'


def _ground(log: Log, step: Step) -> set[str]:
    """The steps that a step rests on: what it reads, and what its gates judge."""
    return {step.id, *step.reads, *(log.world.workflow.gates[name].on for name in step.gates)}


def _source(log: Log, tool: str, among: set[str] | None) -> Step | None:
    """The step whose arguments a fresh look takes: the latest of this tool that has looked, of some or of all."""
    steps = {step.id: step for step in log.world.workflow.every_step() if step.target == tool}
    watched = [name for name in steps if name in log.state.watches]
    names = [*watched, *(item.step for item in log.state.evidence.values() if item.step in steps)]
    kept = [name for name in names if among is None or name in among]
    return steps[kept[-1]] if kept else None


def _fresh(log: Log, spec: ToolSpec, source: Step) -> Look:
    def call(_given: Mapping[str, Json]) -> str:
        seen = log.world.tools.observe(spec.name, arguments_of(log, source))
        return fenced(_text(seen.facts), source=spec.name)

    about = f"{spec.about}, now, with the arguments of the step {source.id}. Takes nothing."
    return Look(spec.name, about, _schema({}), call)


def _slice(log: Log, spec: ToolSpec) -> Look:
    started = log.state.started
    pinned: dict[str, Json] = {name: str(getattr(started, value)) for name, value in SLICES[spec.name].items()}
    free = {name: argument for name, argument in spec.arguments.items() if name not in pinned}

    def call(given: Mapping[str, Json]) -> str:
        foreign = sorted(set(given) - set(free))
        if foreign:
            raise ToolFailed("bad-argument", f"{spec.name} takes no {foreign[0][:60]!r} here", ", ".join(free))
        seen = log.world.tools.observe(spec.name, {**given, **pinned})
        return fenced(_text(seen.facts), source=spec.name)

    return Look(spec.name, f"{spec.about}. The commits are this run's.", _schema(free), call)


def _schema(arguments: Mapping[str, Argument]) -> Json:
    properties: dict[str, Json] = {}
    for name, argument in arguments.items():
        kind = _JSON.get(argument.type, "string")
        told: dict[str, Json] = {"type": kind, "description": argument.about or argument.type}
        if kind == "array":
            told["items"] = {"type": "string"}
        properties[name] = told
    needed: list[Json] = [name for name, argument in arguments.items() if argument.required]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def _listing(log: Log) -> Look:
    def call(_given: Mapping[str, Json]) -> str:
        rows = [f"{item.id} {item.step} {item.tool} {item.at[:19]} {item.summary}"
                for item in log.state.evidence_by_id.values()]  # fmt: skip
        return fenced("\n".join(rows), source="ledger")

    about = "This run's evidence: id, step, tool, time, summary. Takes nothing."
    return Look("evidence.list", about, _schema({}), call)


def _reading(log: Log) -> Look:
    def call(given: Mapping[str, Json]) -> str:
        wanted, start = given.get("id"), given.get("start", 0)
        item = log.state.evidence_by_id.get(str(wanted))
        if item is None:
            raise ToolFailed("bad-argument", f"there is no evidence {str(wanted)[:60]!r}", "evidence__list tells ids")
        if type(start) is not int or start < 0:
            raise ToolFailed("bad-argument", "start is a whole number of characters, from 0")
        text = _text(item.facts)
        return fenced(text[start:], source=item.tool or item.step, identity=item.id)

    schema: Json = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "an evidence id, for example e-004"},
            "start": {"type": "integer", "description": "from which character on; 0: from the beginning"},
        },
        "required": ["id"],
        "additionalProperties": False,
    }
    return Look("evidence.read", f"One piece of evidence whole, {RESULT} characters at a time.", schema, call)


def _text(facts: Json) -> str:
    return json.dumps(facts, ensure_ascii=False, sort_keys=True)
