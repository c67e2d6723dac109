"""Which small changes of a module are tried, one at a time."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change.

    Args:
        lines: of the source, of which a test must run one.
        function: the outermost function that it changes, as its qualified name; or
        constant: the name of the module that it changes.
        was, now: the changed part as Python says it.
        nth: counts equal changes of one function.
    """

    file: str
    lines: tuple[int, ...]
    function: str
    constant: str
    was: str
    now: str
    nth: int
    tree: ast.Module

    @property
    def id(self) -> str:
        """Stable where lines move."""
        return f"{self.file} {self.function or self.constant}: {self.was} → {self.now}" + (
            f" #{self.nth}" if self.nth else ""
        )


def mutants_of(file: str, source: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    tree = ast.parse(source)
    mark(tree)
    seen: dict[tuple[str, str, str], int] = {}
    for function, constant, top in _tops(tree):
        for node in _walk(top):
            for now, changed in _changes(node):
                was = _told(node)
                key = (function or constant, was, now)
                nth = seen[key] = seen.get(key, -1) + 1
                lines = tuple(range(node.lineno, (node.end_lineno or node.lineno) + 1))
                yield Mutant(file, lines, function, constant, was, now, nth, _with(tree, node, changed))


def _tops(tree: ast.Module) -> Iterator[tuple[str, str, ast.AST]]:
    """The functions, methods and constants of a module, by name."""
    for node in tree.body:
        match node:
            case ast.FunctionDef():
                yield node.name, "", node
            case ast.ClassDef():
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef):
                        yield f"{node.name}.{inner.name}", "", inner
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                yield "", name, node


def _walk(top: ast.AST) -> Iterator[ast.AST]:
    """The nodes whose changes mean something: no docstring, no annotation, no default, no message, no assert."""
    match top:
        case ast.FunctionDef():
            body = top.body[1:] if ast.get_docstring(top, clean=False) is not None else top.body
            for node in body:
                yield from _walk(node)
        case ast.Assert() | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return
        case ast.AnnAssign():
            yield top
            if top.value is not None:
                yield from _walk(top.value)
        case _:
            yield top
            for child in ast.iter_child_nodes(top):
                yield from _walk(child)


def _changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What a node may become, as it is told and as it is."""
    for changed in _changed(node):
        ast.copy_location(changed, node)
        yield ("pass" if isinstance(changed, ast.Pass) else _told(changed)), changed


def _changed(node: ast.AST) -> Iterator[ast.AST]:  # noqa: PLR0912 - one table
    match node:
        case ast.Compare(ops=[op]):
            for other in _COMPARE[type(op)]:
                yield ast.Compare(node.left, [other()], node.comparators)
        case ast.Compare():
            for at, op in enumerate(node.ops):
                for other in _COMPARE[type(op)]:
                    yield ast.Compare(node.left, [*node.ops[:at], other(), *node.ops[at + 1 :]], node.comparators)
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
            for at in range(len(node.values)):
                rest = [*node.values[:at], *node.values[at + 1 :]]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.UnaryOp(op=ast.USub()):
            yield node.operand
        case ast.BinOp() if type(node.op) in _ARITHMETIC and not _is_text(node):
            yield ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
        case ast.If() | ast.IfExp() if not isinstance(
            node.test, ast.Compare | ast.UnaryOp
        ):  # those are turned round themselves
            turned = copy.copy(node)
            turned.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
            yield turned
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(ast.copy_location(ast.Constant(None), node))
        case ast.Raise() | ast.Expr(value=ast.Call()) | ast.AugAssign():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript() | ast.Tuple(elts=[ast.Attribute(), *_])]):
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
        case ast.Constant(value=bool() as flag):
            yield ast.Constant(not flag)
        case ast.Constant(value=int() as number):
            yield ast.Constant(number + 1)
            if number > 1:
                yield ast.Constant(number - 1)
        case ast.Constant(value=str() as text) if getattr(node, "looked_up", False):
            yield ast.Constant(f"not {text}")


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )


def _told(node: ast.AST) -> str:
    """A change as one reads it: of a statement with a body only its head."""
    match node:
        case ast.If():
            return f"if {ast.unparse(node.test)}"
        case ast.comprehension():
            return ast.unparse(node.target)
        case _:
            text = " ".join(ast.unparse(node).split()).replace("|", "/").replace("`", "'")
            return text if len(text) <= 100 else f"{text[:97]}..."


def _with(tree: ast.Module, old: ast.AST, new: ast.AST) -> ast.Module:
    """The module with one node exchanged; what is not on the way to it is shared."""

    def exchanged(node: ast.AST) -> ast.AST:
        if node is old:
            return new
        if not any(child is old for child in ast.walk(node)):
            return node
        made = copy.copy(node)
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.AST):
                setattr(made, name, exchanged(value))
            elif isinstance(value, list):
                setattr(made, name, [exchanged(item) if isinstance(item, ast.AST) else item for item in value])
        return made

    return ast.fix_missing_locations(exchanged(tree))  # type: ignore[return-value,type-var]


def mark(tree: ast.Module) -> None:
    """Note which texts are compared, looked up or matched: those are code, the others are words for people."""
    for node in ast.walk(tree):
        found: list[ast.AST] = []
        match node:
            case ast.Compare():
                found = [node.left, *node.comparators]
            case ast.Subscript():
                found = [node.slice]
            case ast.Call(func=ast.Attribute(attr="get"), args=[first, *_]):
                found = [first]
            case ast.Call(func=ast.Name(id=name), args=[_, first, *_]) if name in {
                "_text",
                "_texts",
                "_rows",
                "_items",
                "_number",
            }:
                found = [first]
            case ast.Call(func=ast.Name(id="Wait" | "Refuse"), args=[first, *_]):
                found = [first]
            case ast.keyword(arg="reason_code", value=value):
                found = [value]
            case ast.MatchValue(value=value):
                found = [value]
        for item in found:
            inner = item.elts if isinstance(item, ast.Set | ast.Tuple | ast.List) else [item]
            for text in inner:
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    text.looked_up = True  # type: ignore[attr-defined]
