"""Lists within answers of the forge, followed to their ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pilothouse_tools.batches import Lookup, incomplete, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context

_PAGES = 100  # of one list
Key = TypeVar("Key")


def nodes(value: Mapping[str, Json], *names: str) -> list[dict[str, Json]]:
    """The nodes of a connection that is nested in an answer."""
    found = _at(value, names).get("nodes")
    return [node for node in found if isinstance(node, dict)] if isinstance(found, list) else []


def follow(
    context: Context,
    first: Mapping[Key, Mapping[str, Json]],
    within: tuple[str, ...],
    ask: Callable[[Key, str], Lookup],
    fragments: str = "",
) -> dict[Key, list[dict[str, Json]]]:
    """Every node of nested lists, to their ends: where a first page has a successor, it is asked for, in batches too.

    Args:
        context: of the product.
        first: the first answers, each with its list's first page.
        within: the fields that lead from an answer to the list.
        ask: makes the lookup of a list's next page from the key and the page's cursor.
        fragments: GraphQL fragments that the lookups spread.

    Raises:
        ToolFailed: ``contents-incomplete``, and what ``look_up`` raises.
    """
    gathered = {key: nodes(value, *within) for key, value in first.items()}
    waiting = {key: cursor for key, value in first.items() if (cursor := _following(value, within, ask(key, "").what))}
    for _ in range(_PAGES):
        if not waiting:
            return gathered
        lookups = [ask(key, cursor) for key, cursor in waiting.items()]
        pages = dict(zip(waiting, look_up(context, lookups, fragments), strict=True))
        following: dict[Key, str] = {}
        for (key, page), lookup in zip(pages.items(), lookups, strict=True):
            if page is None:
                raise incomplete([lookup.what], "it is gone")
            gathered[key] += nodes(page, *within)
            if (cursor := _following(page, within, lookup.what)) == waiting[key]:
                raise incomplete([lookup.what], "its pages lead in a circle")
            if cursor:
                following[key] = cursor
        waiting = following
    raise incomplete([ask(key, cursor).what for key, cursor in waiting.items()], f"more than {_PAGES} pages")


def _following(value: Mapping[str, Json], within: tuple[str, ...], what: str) -> str:
    """Where the next page of a nested list begins; empty after the last."""
    info = _at(value, (*within, "pageInfo"))
    if info.get("hasNextPage") is False:
        return ""
    cursor = info.get("endCursor")
    if not isinstance(cursor, str) or not cursor:
        raise incomplete([what], "the forge does not say where its next page begins")
    return cursor


def _at(value: Mapping[str, Json], names: tuple[str, ...]) -> dict[str, Json]:
    found: Json = dict(value)
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
