"""What is in the next release, and what runs where: fresh looks of code, told in a few sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pilothouse import config
from pilothouse.chat.answers import INDENT, sentences, told
from pilothouse.errors import ToolFailed
from pilothouse.model import RECORD
from pilothouse.render import promotion
from pilothouse.render.acts import listing, migrations_line, number, sentence
from pilothouse.render.course import state_name, versions
from pilothouse.render.screen import BLANK, Line, Tone, line
from pilothouse.render.text import count, safe, short, wrap

if TYPE_CHECKING:
    from pilothouse.app import Pilothouse
    from pilothouse.canonical import Json
    from pilothouse.guard.state import RunState

_NAMED = 6  # changes that are named; the others are counted
_LABEL = 11  # columns: the first word of a promotion's row, and a space


def next_release(state: RunState, problems: Sequence[str], width: int) -> list[Line]:
    """What a rehearsed run would ship: changes, migrations, checks, the version; and why it would be refused now."""
    facts = state.facts()
    product = state.started.product
    if "contents" not in facts:  # that nothing was looked at is no news of what there is
        return [*told(f"What the next release of {product} holds is not known.", width), *refused(problems, width)]
    if promotion.is_promotion(state):
        return [*_promoted(state, width, 0), *(refused(problems, width) or told(_how(state), width, Tone.DIM))]
    contents = facts["contents"]
    before, after = versions(state)
    changes = number(contents, "commits")
    if not changes:
        return told(f"Nothing: {product} has no change since {safe(before, 40) or 'its beginning'}.", width)
    features, fixes = listing(contents, "features"), listing(contents, "fixes")
    parts = [count(len(features), "feature"), count(len(fixes), "fix", "fixes")]
    if breaking := listing(contents, "breaking"):
        parts.append(f"{len(breaking)} BREAKING")
    if updates := listing(contents, "dependencies"):
        parts.append(count(len(updates), "dependency update"))
    lines = told(f"{count(changes, 'change')} since {safe(before, 40)}: {', '.join(parts)}.", width)
    named = [*(("breaking", item) for item in breaking), *(("new", item) for item in features),
             *(("fix", item) for item in fixes)]  # fmt: skip
    for kind, item in named[:_NAMED]:
        tone = Tone.BAD if kind == "breaking" else Tone.DIM
        lines.append(line(" " * INDENT, (f"{kind:<5}", tone), f" {_change(item)}"))
    if len(named) > _NAMED:
        lines += told(f"and {len(named) - _NAMED} more", width, Tone.DIM)
    migrations = facts.get("production-migrations")
    moves = migrations_line(migrations) if migrations is not None else ""
    checked = _checked(state)
    would = f"It would be {safe(after, 40)}" if after else ""
    lines += told(sentences(moves[:1].upper() + moves[1:], checked, would), width)
    return [*lines, *refused(problems, width)]


def _promoted(state: RunState, width: int, crowd: int) -> list[Line]:
    """The summary of a promotion, as on its card, under what was said; ``crowd`` as in ``promotion.rows``."""
    facts = state.facts()
    lines = told(promotion.headline(state, facts), width, Tone.STRONG)
    for label, *texts in promotion.rows(state, facts, crowd):
        tone = Tone.WAIT if label == "WARNING" else Tone.DIM
        parts = [part for text in texts for part in wrap(text, max(20, width - INDENT - _LABEL - 1))]
        for place, part in enumerate(parts):
            lines.append(line(" " * INDENT, (f"{'' if place else label:<{_LABEL}}", tone), part))
    return lines


def _how(state: RunState) -> str:
    """What is typed here to do what was rehearsed."""
    given = {name: safe(str(state.started.inputs.get(name) or ""), 200) for name in ("version", "severity", "reason")}
    said = [f"To do it: /{state.started.workflow}", state.started.product, given["version"]]
    said += [f"severity {given['severity']}"] if given["severity"] else []
    return " ".join(part for part in (*said, f"because {given['reason']}" if given["reason"] else "") if part)


def refused(problems: Sequence[str], width: int) -> list[Line]:
    """Why a real run would be refused now; nothing where it would not."""
    if not problems:
        return []
    lines = told("A real run would be refused now:", width, Tone.BAD)
    return [*lines, *(part for problem in problems for part in told(safe(problem, 400), width))]


def _change(item: dict[str, Json]) -> str:
    reference = f" (#{item['number']})" if isinstance(item.get("number"), int) else ""
    return f"{safe(str(item.get('summary')), 90)}{reference}"


def _checked(state: RunState) -> str:
    """What the gates say, in few words: the failed ones by name, else the ones that people ask for."""
    failed = [safe(judged.message, 120) for judged in state.judged.values() if not judged.passed]
    if failed:
        return f"Not ready: {'; '.join(failed[:3])}"
    good = [safe(judged.message, 60) for (_, gate), judged in state.judged.items()
            if gate in {"ci-green", "e2e-passed", "smoke-passed", "no-blockers"}]  # fmt: skip
    return f"Checked: {', '.join(good)}" if good else ""


def plan(state: RunState, problems: Sequence[str], width: int) -> list[Line]:
    """The whole plan of a rehearsed run, act by act, with its digest."""
    if state.plan is None:
        return [*told("There is no plan: the checks come first.", width), *refused(problems, width)]
    before, after = versions(state)
    promoted = promotion.is_promotion(state) and "contents" in state.evidence
    lines = [*_promoted(state, width, -promotion.ROOMY), BLANK] if promoted else []
    lines += told(f"Would do, from {safe(before, 40)} to {safe(after, 40) or 'the next version'}:", width, Tone.STRONG)
    for place, act in enumerate((act for act in state.plan.acts if act.branch == "main"), 1):
        covered = ("   after approval", Tone.WAIT) if act.checkpoint else ("", Tone.DIM)
        lines.append(line(" " * INDENT, f"{place:2d} {sentence(act.tool, act.arguments)}", covered))
    # Each branch writes its own outcome down, whichever is taken: that is no way of going wrong.
    other = [
        sentence(act.tool, act.arguments) for act in state.plan.acts if act.branch != "main" and act.tool != RECORD
    ]
    if other:
        lines += told(f"Only if it goes wrong: {'; '.join(dict.fromkeys(other))}.", width, Tone.DIM)
    lines += told(f"plan {short(state.plan.digest)}", width, Tone.DIM)
    if problems:
        return [*lines, *refused(problems, width)]
    return [*lines, *told("Nothing was changed.", width), *told(_how(state), width, Tone.DIM)]


def live(app: Pilothouse, product: str, width: int) -> list[Line]:
    """What each environment answers that it runs, looked at now; and which run put it there."""
    from pilothouse.composition import toolbox
    from pilothouse.engine.world import iso

    configuration = config.load(app.project)
    tools = toolbox(app, configuration, product, "r-chat", iso(app.clock.now()), {})
    lines: list[Line] = []
    for name in sorted(configuration.products[product].environments):
        try:
            seen = tools.observe("deploy.current", {"environment": name}).facts
        except ToolFailed as failure:
            lines += told(f"{name}: not known ({safe(failure.message, 200)}).", width, Tone.WAIT)
            continue
        version, sha = safe(str(seen.get("version") or ""), 40), str(seen.get("sha") or "")
        answers = f"answers {version}" if version else "does not say a version"
        at = f" @ {short(sha)}" if sha else ""
        url = safe(configuration.products[product].environments[name].url, 80)
        lines += told(f"{name.capitalize()} {answers}{at} ({url}).", width)
    last = next((state for state in reversed(app.runs(product)) if state.production_attempted()), None)
    if last is not None:
        lines += told(f"The last run that changed production: {last.run} ({state_name(last)}).", width, Tone.DIM)
    return lines
