"""ship, run, rollback, and plain words: requests that start a run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pilothouse import intent
from pilothouse.app import Pilothouse, Request, os_user
from pilothouse.cli.following import demand_named, follow
from pilothouse.cli.locking import demand_terminal
from pilothouse.cli.surface import Surface
from pilothouse.errors import EXIT_DONE, EXIT_REFUSED, UsageError
from pilothouse.model import RECORD
from pilothouse.render import promotion
from pilothouse.render.acts import sentence
from pilothouse.render.course import state_name, versions
from pilothouse.render.drawing import draw_headline
from pilothouse.render.rows import Timeline
from pilothouse.render.screen import BLANK, Line, Tone, columns, cut, line, padded
from pilothouse.render.text import safe, short, wrap
from pilothouse.render.timeline import headline, origin
from pilothouse.views import detailed_json, run_json, schema

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse.guard.state import RunState
    from pilothouse.settings import Configuration, Trigger

PARTS = ("major", "minor", "patch")
_VERSION = re.compile(r"\d+\.\d+\.\d+([-+.][0-9A-Za-z.+-]+)?")
SEVERITIES = ("critical", "high", "medium", "low")


def start(
    surface: Surface, request: Request, *, detach: bool = False, approvals: str = "", command: str = "ship"
) -> int:
    """Start what is asked for, and follow it; the exit code.

    Raises:
        UsageError: ``bad-version``, before a run starts and holds the product; and whatever the facade raises.
    """
    request = replace(request, version=_version(request.version))
    if request.override and not request.dry_run:
        demand_terminal(surface)
    app = surface.app()
    who = os_user("terminal")
    if request.dry_run:
        return _rehearse(surface, app, request, command)
    if approvals:
        demand_named(app, request.product, approvals)  # before the run starts and holds the product
    run = app.start(request, who)
    scripted = "" if surface.quiet else app.why_scripted(run)
    if scripted:
        surface.aside().write([line((f" {scripted}", Tone.DIM)), BLANK])
    if detach:
        return _detached(surface, app, run, approvals, command)
    return follow(surface, app, run, approvals=approvals, command=command)


def _version(wanted: str) -> str:
    bare = wanted.removeprefix("v")
    if not bare or bare in PARTS or _VERSION.fullmatch(bare):
        return bare
    raise UsageError("bad-version", f"{wanted!r} is no version", "write X.Y.Z, major, minor or patch, or leave it out")


def rollback(
    surface: Surface, product: str, to: str, severity: str, reason: str, *, dry_run: bool, detach: bool, approvals: str,
    restore: bool = False,
) -> int:  # fmt: skip
    """Plan a rollback, ask where policy says so, roll back."""
    if severity not in SEVERITIES:
        raise UsageError("bad-severity", f"{severity!r} is no severity", f"one of: {', '.join(SEVERITIES)}")
    if not reason.strip():
        raise UsageError("reason-missing", "a rollback goes on the record and needs a reason", "add: --reason '…'")
    inputs: dict[str, Json] = {"severity": severity, "reason": reason.strip()[:500]}
    if restore:
        inputs["restore_database"] = True
    request = Request(product, workflow="rollback", version=to, inputs=inputs, dry_run=dry_run)
    return start(surface, request, detach=detach, approvals=approvals, command="rollback")


def say(
    surface: Surface, words: Sequence[str], *, detach: bool, approvals: str, dry_run: bool, commands: Sequence[str]
) -> int:
    """Start what plain words ask for (INT-1); nothing starts where a word is not understood."""
    from pilothouse import config
    from pilothouse.playbook.find import list_workflows

    text = " ".join(words)
    near = _near(words, commands)
    try:
        folder = surface.folder()
    except UsageError as nowhere:
        if near:
            raise UsageError("no-such-command", f"there is no command {words[0]!r}", near) from nowhere
        raise
    configuration = config.load(folder)
    heard = intent.parse(
        text, tuple(configuration.products), workflows=tuple(item.name for item in list_workflows(folder)),
        default_workflow=configuration.workflow,
    )  # fmt: skip
    match heard:
        case intent.Intent():
            _remark(surface, heard)
            return _start_intent(surface, heard, detach=detach, approvals=approvals, dry_run=dry_run)
        case intent.Later():
            return _registered(surface, heard, configuration)
        case intent.Clarify():
            raise UsageError(heard.reason_code, heard.question, "one of: " + ", ".join(heard.choices))
        case _:
            raise UsageError(heard.reason_code, heard.message, near or _examples(heard.choices))


def _start_intent(surface: Surface, heard: intent.Intent, *, detach: bool, approvals: str, dry_run: bool) -> int:
    dry = dry_run or heard.dry_run
    if heard.workflow == "rollback":
        reason = heard.reason or "asked for in plain words"
        return rollback(
            surface, heard.product, heard.version or "", heard.severity or "high", reason,
            dry_run=dry, detach=detach, approvals=approvals,
        )  # fmt: skip
    request = Request(heard.product, heard.workflow, heard.version or heard.bump or "", {}, dry)
    return start(surface, request, detach=detach, approvals=approvals)


def _registered(surface: Surface, heard: intent.Later, configuration: Configuration) -> int:
    """Say which event will start what was asked for; where none does, how to write one. Nothing starts now.

    Raises:
        UsageError: ``needs-event``.
    """
    found = next((item for item in configuration.triggers if _means(heard, item)), None)
    if found is not None:
        named = found.milestone or found.of
        when = f"the milestone {named} is closed" if found.milestone else f"{named} has reached {found.phase}"
        surface.answer(
            lambda: {
                "schema": schema("say"), "product": found.product, "workflow": found.workflow, "on": found.on,
                "name": named, "runs": [],
            },
            lambda: [
                line(f" {found.workflow} of {found.product} starts when {when}; nothing was started now."),
                line((" It stops at its checkpoints like any other. Who starts it: pilothouse worker", Tone.DIM)),
            ],
        )  # fmt: skip
        return EXIT_DONE
    if heard.on == "milestone-closed":
        entry = f'on: milestone-closed, milestone: "{heard.name or "Sprint *"}"'
    else:
        entry = f"on: phase-reached, of: {heard.name}, phase: released"
    raise UsageError(
        "needs-event", f"that waits for an event, and none is registered for {heard.product}; nothing was started",
        f"write in pilothouse.yml: events: [{{product: {heard.product}, {entry}}}]; then run: pilothouse worker",
    )  # fmt: skip


def _means(heard: intent.Later, trigger: Trigger) -> bool:
    """Whether a registered event is the one that was said."""
    named = trigger.milestone if heard.on == "milestone-closed" else trigger.of
    same = (trigger.product, trigger.workflow, trigger.on) == (heard.product, heard.workflow, heard.on)
    return same and (not heard.name or fnmatchcase(heard.name.casefold(), named.casefold()))


def _remark(surface: Surface, heard: intent.Intent) -> None:
    """What was understood, before anything starts."""
    if surface.quiet:
        return
    what = [f"{heard.workflow} of {heard.product}"]
    what += [heard.version or heard.bump or ""]
    what += ["dry run" if heard.dry_run else ""]
    surface.aside().write([line((f" Understood: {', '.join(filter(None, what))}", Tone.DIM)), BLANK])


def _near(words: Sequence[str], commands: Sequence[str]) -> str:
    """The command that was perhaps meant, as a hint."""
    from difflib import get_close_matches

    near = get_close_matches(words[0], commands, 1)
    return f"did you mean: pilothouse {' '.join([near[0], *words[1:]])}" if near else ""


def _examples(examples: Sequence[str]) -> str:
    return "for example: " + "; ".join(f'pilothouse "{example}"' for example in examples[:3])


def _detached(surface: Surface, app: Pilothouse, run: str, approvals: str, command: str) -> int:
    """Let another process of ours follow the run; what it prints goes to a file of the project."""
    log = app.project / ".pilothouse" / f"{run}.log"
    argv = [sys.executable, "-P", "-m", "pilothouse.cli.main", "--project", os.fspath(app.project), "resume", run]
    argv += ["--approvals", approvals] if approvals else []
    with log.open("ab") as out:
        subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=app.project
        )
    surface.answer(
        lambda: {"schema": schema(command), "runs": [run_json(app.find(run))]},
        lambda: [
            line(" Started ", (run, Tone.STRONG), " in the background."),
            line(f" Look: pilothouse status {run}      Log: .pilothouse/{run}.log"),
        ],
    )
    return EXIT_DONE


def _rehearse(surface: Surface, app: Pilothouse, request: Request, command: str) -> int:
    if not surface.quiet:
        surface.aside().write([line((" Checking; nothing is changed.", Tone.DIM)), BLANK])
    state, problems = app.rehearse(request, os_user("terminal"))
    note = _held_by(app, state)
    surface.answer(
        lambda: _rehearsed_json(state, problems, command, note),
        lambda: [*_checked_lines(surface, state), *_plan_lines(surface, state, problems, note)],
    )
    return EXIT_REFUSED if problems else EXIT_DONE


def _checked_lines(surface: Surface, state: RunState) -> Iterator[Line]:
    """Every gate that could be judged before the first act."""
    width = surface.out().width
    told = Timeline(headline(state), origin(state, named=False), (), ())  # nobody could find a run of that id
    yield from draw_headline(told, width)
    yield BLANK
    for (_, gate), judged in state.judged.items():
        sign = ("✔", Tone.GOOD) if judged.passed else ("✘", Tone.BAD)
        evidence = f"  {', '.join(judged.evidence)}" if judged.evidence else ""
        text = cut(safe(judged.message, 200), width - 38 - columns(evidence))
        yield line(" ", sign, " ", (padded(gate, 32), Tone.PLAIN), " ", (text, Tone.DIM), (evidence, Tone.DIM))


def _held_by(app: Pilothouse, rehearsed: RunState) -> str:
    """Which run the product has now: a rehearsal may look all the same, the real run may not start."""
    for state in app.runs(rehearsed.started.product):
        if not state.over:
            told = f"{state.run} has {state.started.product} now ({state_name(state)})"
            if state.refused and not state.production_attempted() and state.started.to_sha != rehearsed.started.to_sha:
                return f"{told}; the real run would supersede it"
            return f"{told}; the real run can start once that one is over"
    return ""


def _rehearsed_json(state: RunState, problems: Sequence[str], command: str, note: str) -> Mapping[str, Json]:
    from pilothouse.render.course import Times

    plan = [act.as_json() for act in state.plan.acts] if state.plan else []
    told = detailed_json(state, Times(), command)
    runs = told["runs"]
    assert isinstance(runs, list)
    # There is no such run: an id, or a command with it, would lead nowhere.
    none: list[Json] = [{**run, "id": None, "next_action": None} for run in runs if isinstance(run, dict)]
    more: dict[str, Json] = {"problems": list(problems), "plan": [*plan], "notes": [note] if note else []}
    return {**told, "runs": none, "dry_run": True, **more}


def _executed(state: RunState) -> str:
    """The command line of what was rehearsed."""
    started, inputs = state.started, state.started.inputs
    version = inputs.get("version")
    if started.workflow == "rollback":
        to = f" --to {version}" if version else ""
        severity = inputs.get("severity") or "high"
        return f"pilothouse rollback {started.product}{to} --severity {severity} --reason '…'"
    end = f" --version {version}" if version else ""
    return f"pilothouse ship {started.product} --workflow {started.workflow}{end}"


def _plan_lines(surface: Surface, state: RunState, problems: Sequence[str], note: str) -> list[Line]:
    width = surface.out().width
    lines: list[Line] = [BLANK]
    if promotion.is_promotion(state) and "contents" in state.evidence:
        lines = [*promotion.summary(state, width), BLANK]
    if state.plan is not None:
        before, after = versions(state)
        lines.append(line(" ", (f"Would do, from {before} to {after or 'the next version'}:", Tone.STRONG)))
        main = [act for act in state.plan.acts if act.branch == "main"]
        for number, act in enumerate(main, 1):
            covered = ("   after approval", Tone.WAIT) if act.checkpoint else ("", Tone.DIM)
            lines.append(line(f"  {number:2d} {sentence(act.tool, act.arguments)}", covered))
        for branch in sorted({act.branch for act in state.plan.acts if act.tool != RECORD} - {"main"}):
            acts = "; ".join(sentence(act.tool, act.arguments) for act in state.plan.acts if act.branch == branch)
            lines += [
                line("   ", (part, Tone.DIM)) for part in wrap(f"only if it goes wrong ({branch}): {acts}", width - 4)
            ]
        lines.append(line((f" plan {short(state.plan.digest)}   ({state.plan.digest})", Tone.DIM)))
    lines += [BLANK]
    if problems:
        lines.append(line(" ", ("It would be refused now:", Tone.BAD)))
        lines += [line("   ", part) for problem in problems for part in wrap(safe(problem, 400), width - 4)]
    else:
        lines.append(line(" ", ("Nothing was changed.", Tone.STRONG), " The real run would make this same plan."))
        lines.append(line(" ", ("Execute it", Tone.DIM), f"  {_executed(state)}"))
    if note:
        first, *more = wrap(safe(note, 300), width - 8)
        lines += [line(" ", ("Note", Tone.WAIT), f"  {first}"), *(line("       ", part) for part in more)]
    return lines
