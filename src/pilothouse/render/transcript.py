"""Who said what on which evidence, and why a run was let go or stopped: as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from pilothouse.render.costs import cost_lines
from pilothouse.render.course import agent_title
from pilothouse.render.drawing import TONES, fitted
from pilothouse.render.logs import GUTTER
from pilothouse.render.rows import MIDDLE, Mark
from pilothouse.render.said import (
    Consultation,
    Decision,
    Entry,
    Excerpt,
    Explanation,
    Gate,
    Opinion,
    Passage,
    Reply,
    Source,
)
from pilothouse.render.screen import BLANK, Line, Span, Tone, columns, cut, line, padded
from pilothouse.render.text import count, duration, safe, wrap

_OF_STEPS = {
    "Done",
    "Failed",
    "Skipped",
    "Refused",
    "Halted",
    "Settled",
    "Allowed",
}  # what is said with its step's name
_LONGEST = 100_000  # characters of one line of what was said
SCRIPTED = "scripted"  # who gives a verdict where no model does
_CLOCK, _GATE, _LONG_GATE = 8, 21, 31


def draw(told: Explanation, width: int, *, full: bool = False) -> Iterator[Line]:
    """The whole explanation.

    Args:
        full: nothing was left out, so nothing is said about what was.
    """
    origin = [*told.origin]
    first = fitted(origin, width - columns(told.headline) - 4)
    yield line(" ", (told.headline, Tone.STRONG), "   ", (MIDDLE.join(first), Tone.DIM))
    if origin[len(first) :]:
        yield line("   ", (cut(MIDDLE.join(origin[len(first) :]), width - 3), Tone.DIM))
    before, passed = Passage("", "", "", ()), set[tuple[str, tuple[Source, ...]]]()
    for passage in told.passages:
        yield from _heading(passage, before, width)
        gates = [item for item in passage.entries if isinstance(item, Gate) and item.passed]
        again = [item for item in gates if (item.gate, item.sources) in passed]
        if again:
            yield from _as_before(again, width)
        for number, entry in enumerate(passage.entries):
            if entry not in again:
                yield from _entry(entry, passage, number, width, full=full)
        passed |= {(item.gate, item.sources) for item in gates}
        before = passage
    costs = cost_lines(told.spending, width)
    if costs:
        yield BLANK
        yield from costs


def _heading(passage: Passage, before: Passage, width: int) -> Iterator[Line]:
    """A phase's title, once; and the step, where more is said than one sentence that names it."""
    at = passage.entries[0].at
    if passage.title != before.title:
        yield BLANK
        if not before.entries or at[:10] != before.entries[0].at[:10]:
            yield line((f" {at[:10]} UTC", Tone.DIM))
        agent = agent_title(passage.agent) if passage.agent else ""
        title = cut(passage.title, width - 30)
        gap = max(1, width - 2 - columns(title) - columns(agent) - _CLOCK - 3)
        yield line(" ", (title, Tone.STRONG), (" " * gap + agent + "   " + at[11:19], Tone.DIM))
    if passage.step and not _brief(passage):
        yield line("   ", (safe(passage.step, 60), Tone.BUSY))


def _brief(passage: Passage) -> bool:
    return all(isinstance(entry, Decision) for entry in passage.entries)


def _entry(entry: Entry, passage: Passage, number: int, width: int, *, full: bool) -> Iterator[Line]:
    match entry:
        case Gate():
            names = [columns(item.gate) for item in passage.entries if isinstance(item, Gate)]
            yield from _gate(entry, min(max(*names, _GATE), _LONG_GATE if width >= 80 else _GATE), width)
        case Decision():
            named = f"{passage.step} " if entry.kind in _OF_STEPS and _brief(passage) else ""
            word = f"{named}{entry.word}{': ' if entry.text else ''}"
            yield from _marked(entry.mark, word, safe(entry.text, 1000), width)
        case Opinion():
            yield from _opinion(entry, passage.entries[:number], width)
        case Consultation():
            yield from _consultation(entry, width, full=full)


def _as_before(gates: Sequence[Gate], width: int) -> Iterator[Line]:
    """Gates that are asked before each act, and pass on what they passed on before: in few lines."""
    told = [f"{item.gate} {' '.join(source.id for source in item.sources)}".rstrip() for item in gates]
    yield from _marked(Mark.DONE, "as before: ", safe(MIDDLE.join(told), 2000), width)


def _gate(gate: Gate, room_of_name: int, width: int) -> Iterator[Line]:
    mark = Mark.DONE if gate.passed else Mark.FAILED
    evidence = " ".join(item.id for item in gate.sources[:3]) + (" …" if len(gate.sources) > 3 else "")
    again = f" (judged {gate.times} times)" if gate.times > 1 else ""
    name = padded(safe(gate.gate, 60), room_of_name) + " "
    text = safe(gate.message, 1000) if gate.passed else f"{gate.reason_code}: {safe(gate.message, 1000)}"
    indent, room = 5 + columns(name), width - 6 - columns(name) - columns(evidence)
    first, *more = _folded(text + again, max(20, room))
    gap = " " * max(1, width - 1 - indent - columns(first) - columns(evidence))
    tone = Tone.PLAIN if gate.passed else Tone.BAD
    yield line("   ", (str(mark), TONES[mark]), " ", (name, tone), first, (gap + evidence, Tone.DIM))
    yield from (line(" " * indent, part) for part in more)


def _marked(mark: Mark, word: str, text: str, width: int) -> Iterator[Line]:
    """A sign, a word that stands out, and a sentence that goes on under itself."""
    first, *more = _folded(word + text, width - 6)
    tone = TONES[mark] if mark in {Mark.FAILED, Mark.WAITING, Mark.BACK} else Tone.STRONG
    yield line("   ", (str(mark), TONES[mark]), " ", (first[: len(word)], tone), first[len(word) :])
    yield from (line("     ", part) for part in more)


_SIGNS = {"go": Mark.DONE, "hold": Mark.WAITING, "draft": Mark.DONE, "fallback": Mark.BACK, "handoff": Mark.TO_COME}


def _opinion(opinion: Opinion, before: Sequence[Entry], width: int) -> Iterator[Line]:
    agent, by = agent_title(safe(opinion.agent, 60)), safe(opinion.by, 60)
    on = ", scripted" if by == SCRIPTED else f" on {by}"
    answer, title = safe(opinion.answer, 120), ""
    match opinion.kind:
        case "verdict":
            title = f"{answer}, says {agent}{on}"
        case "advice":
            title = f"{safe(opinion.trouble, 40)}, severity {answer}, says {agent}{on}"
        case "draft":
            title = f"{agent}'s words were taken{on}"
        case "fallback":
            title = f"fell back to the scripted {agent}: {answer}"
        case _:
            title = f"{agent} hands over to {agent_title(answer)}"
    mark = _SIGNS.get(opinion.answer if opinion.kind == "verdict" else opinion.kind, Mark.WAITING)
    yield from _marked(mark, title, "", width)
    # Gates stand right above: what a scripted agent says of them is no news.
    above = {item.message for item in before if isinstance(item, Gate)} if opinion.by == SCRIPTED else set()
    for reason in opinion.reasons:
        if reason not in above and not (opinion.by == SCRIPTED and reason.startswith("gates passed")):
            yield from _quoted(Excerpt(reason), "     ", width, Tone.PLAIN)
    if opinion.recommends:
        yield line("     ", ("recommends ", Tone.DIM), safe(opinion.recommends, 80))
    for number, sentence in enumerate(opinion.plan, start=1):
        yield from _quoted(Excerpt(f"{number}. {sentence}"), "     ", width, Tone.PLAIN)
    yield from (_source(item, width) for item in opinion.sources)


def _source(item: Source, width: int) -> Line:
    if not item.tool:
        return line("     ", (safe(item.id, 40), Tone.BAD), " is no evidence of this run")
    tool = padded(item.tool, 20) + " "
    return line("     ", (padded(item.id, 6), Tone.BUSY), (tool, Tone.DIM), cut(safe(item.summary, 200), width - 33))


def _consultation(talk: Consultation, width: int, *, full: bool) -> Iterator[Line]:
    about = {"verdict": "a verdict", "draft": "a draft", "watch": "a look at users"}.get(talk.about, "advice")
    asked = f"{agent_title(safe(talk.agent, 60))} is asked on {safe(talk.model, 80)} for {about}"
    yield from _marked(Mark.TO_COME, asked, f", {talk.at[11:19]}", width)
    yield from _quoted(talk.question, "     ", width)
    for reply in talk.replies:
        yield from _reply(reply, width, full=full)
    if not talk.replies:
        yield line("     ", ("It gave no reply.", Tone.WAIT))


def _reply(reply: Reply, width: int, *, full: bool) -> Iterator[Line]:
    used = reply.spending
    tokens = (f"{used.input + used.cache_read + used.cache_write:,} tokens in", f"{used.output:,} out")
    came_to = count(len(reply.calls), "look") if reply.calls else reply.stop.replace("_", " ")
    if reply.structured and not full:
        came_to = "its answer stands below"
    facts = [came_to, *tokens, duration(used.took / 1000)]
    turn = f"turn {reply.turn + 1}"
    yield line("     ", (turn, Tone.BUSY), (MIDDLE + MIDDLE.join(fitted(facts, width - 16)), Tone.DIM))
    if reply.thinking:
        yield from _quoted(Excerpt(reply.thinking), "       ", width, Tone.DIM, "· ")
    if reply.text.text and (full or not reply.structured):
        yield from _quoted(reply.text, "       ", width, Tone.PLAIN)
    for call in reply.calls:
        arguments = json.dumps(call.arguments, ensure_ascii=False) if call.arguments else ""
        first, *more = _folded(safe(f"{call.tool} {arguments}".rstrip(), 2000), width - 10)
        name = safe(call.tool, 80)
        yield line("       ", ("→ ", Tone.DIM), (first[: len(name)], Tone.BUSY), first[len(name) :])
        yield from (line("         ", part) for part in more)
        if call.result is None:
            yield line("         ", ("no result", Tone.DIM))
        else:
            yield from _quoted(call.result, "         ", width, Tone.BAD if call.failed else Tone.DIM)


def _folded(text: str, room: int) -> list[str]:
    """Words into lines that fit; at least one. Where signs take two columns, as if each did."""
    return wrap(text, room if columns(text) <= len(text) else room // 2)


def _quoted(said: Excerpt, indent: str, width: int, tone: Tone = Tone.DIM, gutter: str = GUTTER) -> Iterator[Line]:
    """What somebody said, line by line, each made safe; how much is left out stands under it.

    The gutter stands in front of each line: nothing that a model or a stranger wrote can pass for a line of ours.
    """
    room = width - 1 - len(indent) - len(gutter)
    for raw in said.text.rstrip("\n").split("\n"):
        for part in _folded(safe(raw, _LONGEST), room):
            yield line(indent, Span(gutter, Tone.DIM), (part, tone))
    if said.omitted:
        yield line(indent, (f"… {count(said.omitted, 'character')} more: --full", Tone.DIM))
