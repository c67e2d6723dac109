"""Every reason code that this Pilothouse can give, collected from its own source: what it says and what it advises.

The table in docs/reason-codes.md is made from this, and a test compares them, so that no code is left unexplained.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pilothouse.errors import UsageError

_CODE = re.compile(r"[a-z][a-z0-9]+(?:-[a-z0-9]+)*")
_KINDS = {
    "UsageError": "usage, exit 2", "InvalidFile": "usage, exit 2", "RequestRefused": "refused, exit 20",
    "ToolFailed": "refused, exit 20", "Unreachable": "refused, exit 20", "Refuse": "refused, exit 20",
    "Finding": "refused by a gate, exit 20", "LedgerError": "halted, exit 50", "LedgerCorrupt": "halted, exit 50",
    "ImpossibleHistory": "halted, exit 50", "ChainMoved": "halted, exit 50", "LeaseLost": "halted, exit 50",
    "Halted": "halted, exit 50", "_halt": "halted, exit 50", "Wait": "waiting, exit 10", "Clarify": "usage, exit 2",
    "Unknown": "usage, exit 2", "Failed": "an act failed",
}  # fmt: skip
# Codes that are put together when they are given, so that the source does not hold them whole.
_COMPOSED = (
    ("watch-worse", "a watch", "production got worse than the baseline during the watch", "the run rolls back"),
    ("watch-no-data", "a watch", "the watch saw too little to conclude anything", "no data fails; the run rolls back"),
    (
        "rollback-failed",
        "halted, exit 50",
        "a step of the rollback itself failed",
        "bring production to a good state by hand",
    ),
    ("merge-by-hand-failed", "halted, exit 50", "preparing the merge by hand failed", "merge by hand, then resume"),
)
_MANY = 4  # sentences told of one code
_GATE = "refused by a gate, exit 20"


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason code: what kind of answer it belongs to, and its sentences (``…`` stands for what varies)."""

    code: str
    kind: str
    messages: tuple[str, ...]
    hints: tuple[str, ...]


def find(code: str) -> Reason:
    """The reason of a code.

    Raises:
        UsageError: there is no such code.
    """
    known = collect()
    if code in known:
        return known[code]
    near = get_close_matches(code, known, 3)
    hint = f"did you mean: {', '.join(near)}" if near else "all of them: docs/reason-codes.md"
    raise UsageError("unknown-reason-code", f"there is no reason code {code!r}", hint)


@cache
def collect() -> dict[str, Reason]:
    """All reason codes of the installed source, sorted."""
    found = {code: Reason(code, kind, (message,), (hint,)) for code, kind, message, hint in _COMPOSED}
    for path in _sources():
        for code, kind, message, hint in _in(ast.parse(path.read_text(encoding="utf-8"))):
            known = found.get(code, Reason(code, kind, (), ()))
            messages = dict.fromkeys((*known.messages, message)) if message else known.messages
            hints = dict.fromkeys((*known.hints, hint)) if hint else known.hints
            found[code] = Reason(code, known.kind, tuple(messages), tuple(hints))
    return {
        code: Reason(code, item.kind, item.messages[:_MANY], item.hints[:_MANY]) for code, item in sorted(found.items())
    }


def _sources() -> Iterator[Path]:
    for package in ("pilothouse", "pilothouse_tools"):
        spec = find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            yield from sorted(path for path in Path(folder).rglob("*.py") if "harbour" not in path.parts)


_Names = dict[str, ast.expr]


def _in(tree: ast.Module) -> Iterator[tuple[str, str, str, str]]:
    """Code, kind, message and hint of each place that gives a reason."""
    everywhere = _assigned(tree.body)
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        names = everywhere | _assigned(list(ast.walk(function)))
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                if name in _KINDS:
                    yield from _call(node, _KINDS[name], names)
            elif isinstance(node, ast.Tuple) and node.elts and _is_false(node.elts[0]):
                yield from _sentences(list(node.elts[1:]), _GATE, names)


def _assigned(nodes: Sequence[ast.AST]) -> _Names:
    return {
        node.targets[0].id: node.value
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def _call(node: ast.Call, kind: str, names: _Names) -> Iterator[tuple[str, str, str, str]]:
    named = {keyword.arg: keyword.value for keyword in node.keywords}
    if "reason_code" in named:
        message = named.get("message") or (node.args[2] if len(node.args) > 2 else None)
        parts = [named["reason_code"], *([message] if message else []), *([named["hint"]] if "hint" in named else [])]
        yield from _sentences(parts, kind, names)
        return
    yield from _sentences(list(node.args), kind, names)


def _sentences(parts: list[ast.expr], kind: str, names: _Names) -> Iterator[tuple[str, str, str, str]]:
    for place, part in enumerate(parts):
        codes = _codes(part, names)
        if codes:
            after = [_text(item, names) for item in parts[place + 1 : place + 3]]
            message, hint = (*after, "", "")[:2]
            if " " in message:
                yield from ((code, kind, message, hint) for code in codes)
            return


def _codes(node: ast.expr, names: _Names) -> list[str]:
    """The reason codes that an expression may be: a constant, a name for one, or a choice between some."""
    match node:
        case ast.Constant(value=str(text)):
            return [text] if _CODE.fullmatch(text) else []
        case ast.IfExp(body=body, orelse=orelse):
            return [*_codes(body, names), *_codes(orelse, names)]
        case ast.Name(id=name) if name in names and not isinstance(names[name], ast.Name):
            return _codes(names[name], names)
        case _:
            return []


def _text(node: ast.expr, names: _Names) -> str:
    """A sentence as it stands in the source; what varies becomes an ellipsis."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(str(value.value) if isinstance(value, ast.Constant) else "…" for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, names) + _text(right, names)
        case ast.Name(id=name) if name in names and not isinstance(names[name], ast.Name):
            return _text(names[name], names)
        case _:
            return ""


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def table() -> str:
    """docs/reason-codes.md."""
    lines = [
        "# Reason codes", "",
        "Every refusal, halt and usage error carries one of these; they are stable. `…` stands for what varies.",
        "`pilothouse explain CODE` says the same. Generated from the source by `python -m pilothouse.reasons`.", "",
        "| code | kind | says | advises |", "|---|---|---|---|",
    ]  # fmt: skip
    for reason in collect().values():
        cells = (f"`{reason.code}`", reason.kind, "<br>".join(reason.messages), "<br>".join(reason.hints))
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")  # noqa: T201 - a generator's output
