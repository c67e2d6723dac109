"""agents/NAME.md: a role as a Claude Code subagent, with what Pilothouse adds under the one key ``pilothouse``.

A persona is data. It names the tools it may read and write drafts with; what it may never get (act tools, hooks,
permissions) is refused here, and what it could get by accident (all tools, by naming none) too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import PurePath

from pilothouse.errors import InvalidFile
from pilothouse.model import Kind
from pilothouse.playbook.problem import Problem, problem_of
from pilothouse.playbook.reading import Entry, one_known
from pilothouse.yamlfile import UNSAFE, Doc, load

KEYS = ("name", "description", "tools", "model", "color", "pilothouse")
OUR_KEYS = ("role", "observes", "drafts", "handoffs", "untrusted_input", "secrets", "state_change")
POWERS = ("untrusted_input", "secrets", "state_change")
# Valid in a subagent of Claude Code, and refused in a persona: they run commands or loosen what asks a person.
_REFUSED = {
    "hooks": "hooks run commands; a persona is data",
    "mcpServers": "servers are configured in .mcp.json, never by a persona",
    "permissionMode": "a persona cannot loosen what asks a person",
    "skills": "what a persona knows stands in its text",
    "memory": "a persona remembers nothing between runs; the ledger does",
}
# What Claude Code's own tools give: power over the machine, or text from strangers.
_CHANGES = frozenset({"Write", "Edit", "MultiEdit", "NotebookEdit", "Bash", "Task", "Agent"})
_FETCHES = frozenset({"WebFetch", "WebSearch"})
_CLAUDE_TOOLS = (*sorted(_CHANGES), *sorted(_FETCHES), "Read", "Grep", "Glob", "LS", "TodoWrite", "NotebookRead")
# Observe tools whose results carry text that strangers wrote: commits, pull requests, issues, logs, files, SQL.
UNTRUSTED = frozenset({
    "git.contents", "git.touched", "git.secrets", "git.diff", "git.file", "git.grep", "git.list", "git.read",
    "forge.ci", "forge.open_pulls", "forge.issues", "forge.pulls", "changelog.unreleased", "logs.scan", "tests.run",
    "migrations.pending",
})  # fmt: skip
_MODEL = re.compile(r"inherit|sonnet|opus|haiku|claude-[a-z0-9.-]+")
_WHEN = re.compile(r"\b(use|call|ask|consult)\b.*\b(when|whenever|for|to|before|after)\b", re.IGNORECASE | re.DOTALL)
_FENCE = "---"


@dataclass(frozen=True, slots=True)
class Persona:
    """A role: who it is, what it may read and draft, whom it may hand over to, and its text.

    ``untrusted_input``, ``secrets`` and ``state_change``: at most one holds (I37).
    """

    name: str
    description: str
    tools: tuple[str, ...]
    model: str
    role: str
    observes: tuple[str, ...]
    drafts: tuple[str, ...]
    handoffs: tuple[str, ...]
    untrusted_input: bool
    secrets: bool
    state_change: bool
    body: str
    source: str
    path: str = ""


def parse(text: str, path: str) -> Persona:
    """The persona that a file's text means.

    Args:
        text: front matter between two lines ``---``, then Markdown.
        path: the file as the person knows it; its name must be the persona's.

    Raises:
        InvalidFile: at the line of the first thing that is not in the grammar (docs/personas.md).
    """
    document, body = _parts(text, path)
    top = Entry(document)
    for key, why in _REFUSED.items():
        if key in top:
            raise top.refuse(f"'{key}' has no place in a persona", key, why)
    top.demand_known(KEYS)
    name = top.identifier("name")
    if PurePath(path).stem != name:
        raise top.refuse(
            f"the persona is called '{name}', its file '{PurePath(path).name}'", "name", f"name the file {name}.md"
        )
    if "pilothouse" not in top:
        raise top.refuse(
            "the key 'pilothouse' is missing", hint="pilothouse: {role: …, observes: [...], handoffs: [...]}"
        )
    ours = top.inner("pilothouse", OUR_KEYS, ("role",))
    return Persona(
        name=name,
        description=_description(top),
        tools=_tools(top),
        model=_model(top),
        role=ours.text("role"),
        observes=ours.names("observes"),
        drafts=ours.names("drafts"),
        handoffs=ours.names("handoffs"),
        untrusted_input=ours.flag("untrusted_input"),
        secrets=ours.flag("secrets"),
        state_change=ours.flag("state_change"),
        body=body,
        source=text,
        path=path,
    )


def lint(text: str, path: str, known_tools: Mapping[str, Kind], known_agents: AbstractSet[str]) -> tuple[Problem, ...]:
    """Every finding about a persona's file, by line.

    Args:
        text: the file's text.
        path: the file as the person knows it.
        known_tools: the registered tools and their kinds.
        known_agents: the names of all personas, this one included.
    """
    try:
        persona = parse(text, path)
    except InvalidFile as error:
        return (problem_of(error),)
    document, _ = _parts(text, path)
    found = (
        *_about_tools(persona, known_tools, document),
        *_about_handoffs(persona, known_agents, document),
        *_about_powers(persona, document),
        *_about_text(persona),
    )
    return tuple(sorted(found, key=lambda problem: problem.line))


def _parts(text: str, path: str) -> tuple[Doc, str]:
    lines = text.split("\n")
    if lines[0].rstrip("\r") != _FENCE:
        raise InvalidFile(path, 1, "a persona begins with its front matter", "the first line is ---")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip("\r") == _FENCE), None)
    if end is None:
        raise InvalidFile(path, 1, "the front matter has no end", "close it with a line ---")
    return load("\n".join(lines[1:end]) + "\n", path, first_line=2), "\n".join(lines[end + 1 :])


def _description(top: Entry) -> str:
    value = top.required("description", str)
    text = " ".join(value.split())
    least, most = 40, 600
    if not least <= len(text) <= most or not text.isprintable():
        raise top.refuse(f"the description has {least} to {most} printable characters", "description")
    if _WHEN.search(text) is None:
        hint = "for example: Use when a release needs its notes written."
        raise top.refuse("the description does not say when to use the persona", "description", hint)
    return text


def _tools(top: Entry) -> tuple[str, ...]:
    if "tools" not in top:
        raise top.refuse(
            "the key 'tools' is missing",
            hint="without it a subagent inherits every tool; write tools: Read, Grep, Glob",
        )
    given = top.data["tools"]
    names = (
        top.names("tools") if isinstance(given, list) else tuple(part.strip() for part in top.text("tools").split(","))
    )
    for name in names:
        if name not in _CLAUDE_TOOLS and not re.fullmatch(r"mcp__[a-z0-9_-]+(__[a-z0-9_-]+)?", name):
            raise top.refuse(f"there is no tool {name!a} in Claude Code", "tools", one_known(name, _CLAUDE_TOOLS))
    return names


def _model(top: Entry) -> str:
    model = top.text("model", "inherit")
    if _MODEL.fullmatch(model) is None:
        raise top.refuse(f"{model!a} is no model", "model", "inherit, sonnet, opus, haiku or a model's id")
    return model


def _about_tools(persona: Persona, known_tools: Mapping[str, Kind], document: Doc) -> Iterator[Problem]:
    for key, wanted, names in (("observes", Kind.OBSERVE, persona.observes), ("drafts", Kind.DRAFT, persona.drafts)):
        fitting = [name for name, kind in known_tools.items() if kind is wanted]
        for index, name in enumerate(names):
            line = document.line(("pilothouse", key, index))
            kind = known_tools.get(name)
            if kind is None:
                yield Problem(line, f"there is no tool '{name}'", one_known(name, fitting))
            elif kind is Kind.ACT:
                yield Problem(
                    line, f"'{name}' acts: a persona never gets an act tool", "the workflow calls it on its behalf"
                )
            elif kind is not wanted:
                yield Problem(line, f"'{name}' is of kind {kind}, not {wanted}", f"list it under {kind}s")


def _about_handoffs(persona: Persona, known_agents: AbstractSet[str], document: Doc) -> Iterator[Problem]:
    for index, name in enumerate(persona.handoffs):
        line = document.line(("pilothouse", "handoffs", index))
        if name == persona.name:
            yield Problem(line, "hands over to itself", "leave it out")
        elif name not in known_agents:
            yield Problem(line, f"hands over to '{name}', which does not exist", one_known(name, known_agents))


def _about_powers(persona: Persona, document: Doc) -> Iterator[Problem]:
    line = document.line(("pilothouse",))
    declared = [power for power in POWERS if getattr(persona, power)]
    if len(declared) > 1:
        yield Problem(
            line, f"has {' and '.join(declared)}: at most one of {', '.join(POWERS)}", "split the role in two"
        )
    strangers = sorted({*persona.observes} & UNTRUSTED) + sorted({*persona.tools} & _FETCHES)
    if strangers and not persona.untrusted_input:
        yield Problem(line, f"reads text of strangers through {strangers[0]}", "say so: untrusted_input: true")
    changes = sorted({*persona.tools} & _CHANGES)
    if changes and not persona.state_change:
        yield Problem(document.line(("tools",)), f"can change things through {changes[0]}", "leave the tool out")
    if changes and (strangers or persona.untrusted_input):
        message = f"reads text of strangers and can change things through {changes[0]}"
        yield Problem(document.line(("tools",)), message, "leave the tool out")


def _about_text(persona: Persona) -> Iterator[Problem]:
    first = persona.source.count("\n") - persona.body.count("\n") + 1
    if not persona.body.strip():
        yield Problem(first - 1, "says nothing", "write what the role decides, what it reads and what it must never do")
    for number, text in enumerate(persona.body.split("\n"), first):
        if (found := UNSAFE.search(text.rstrip("\r"))) is not None:
            yield Problem(number, f"holds the invisible character U+{ord(found[0]):04X}", "remove it")
        if "<!--" in text:
            yield Problem(number, "hides text in a comment", "what a model reads, a person must see")
