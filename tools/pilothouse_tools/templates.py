"""Prompts and drafts: Jinja2, sandboxed, strict about what is undefined, loops and conditions only."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pilothouse.errors import ToolFailed
from pilothouse_tools import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pilothouse.canonical import Json

# What a template may be made of. No calls, imports, macros or assignments: a template shows, it does not compute.
_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.For,
    nodes.If, nodes.CondExpr, nodes.Filter, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
)  # fmt: skip
_FILTERS = ("fenced", "markdown", "one_line", "visible", "length", "plural")
_FENCE = re.compile(r"[<＜﹤](?=[\s/／]*data)", re.IGNORECASE)
_ODD = re.compile(r"[^\w.:-]")


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    made.filters = {
        "fenced": _fenced, "markdown": text.markdown, "one_line": text.one_line, "visible": text.visible,
        "length": len, "plural": _plural,
    }  # fmt: skip
    return made


def _fenced(words: str, source: str, identity: str = "") -> str:
    """A stranger's words as data in a prompt, with where they are from; what would close the fence is made harmless."""
    known = f' id="{_ODD.sub("_", identity)}"' if identity else ""
    inner = _FENCE.sub("&lt;", text.visible(words))
    edge = "\n" if "\n" in inner else ""
    return f'<data{known} from="{_ODD.sub("_", source)}" trust="none">{edge}{inner}{edge}</data>'


def _plural(number: int, word: str, words: str = "") -> str:
    """``3 features``."""
    return f"{number} {word if number == 1 else words or word + 's'}"


def render(templates: Mapping[str, str], name: str, values: Mapping[str, Json]) -> str:
    """Render one template.

    Args:
        templates: file name to source.
        name: of the template.
        values: what it sees.

    Raises:
        ToolFailed: ``template-missing``, ``template-refused`` (more than loops and conditions), ``template-failed``.
    """
    source = templates.get(name)
    if source is None:
        raise ToolFailed("template-missing", f"there is no template {name}", f"Add prompts/{name}.")
    environment = _environment()
    try:
        tree = environment.parse(source)
        for node in tree.find_all(nodes.Node):
            wrong = not isinstance(node, _ALLOWED) or (isinstance(node, nodes.Filter) and node.name not in _FILTERS)
            if wrong:
                what = f"the filter {node.name}" if isinstance(node, nodes.Filter) else type(node).__name__
                raise ToolFailed("template-refused", f"{name}:{node.lineno}: {what} is more than a template may do",
                                 f"Loops, conditions and the filters {', '.join(_FILTERS)} only.")  # fmt: skip
        return environment.from_string(source).render(dict(values))
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise ToolFailed(
            "template-failed", f"{name}{f':{line}' if line else ''}: {error}", f"Mend prompts/{name}."
        ) from None
    except (TypeError, ValueError, AttributeError) as error:
        raise ToolFailed("template-failed", f"{name}: {error}", f"Mend prompts/{name}.") from None
