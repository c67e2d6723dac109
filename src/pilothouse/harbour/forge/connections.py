"""Pages of a list, as GraphQL's connections cut them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any

from pilothouse.harbour.forge.schema import Refused

MOST = 100
Page = Callable[..., dict[str, Any]]


def cursor(place: int) -> str:
    """The opaque name of a place in a list."""
    return base64.b64encode(f"cursor:{place}".encode()).decode()


def _place(text: str) -> int:
    try:
        return int(base64.b64decode(text.encode()).decode().removeprefix("cursor:"))
    except ValueError as error:
        raise Refused(f"`{text}` does not appear to be a valid cursor.", "INVALID_CURSOR_ARGUMENTS") from error


def connection(typename: str, nodes: Iterable[Any], *, total: str = "totalCount", **more: Any) -> Page:
    """A field that answers a page of the nodes.

    Args:
        nodes: everything that there is, in order.
        typename: the connection's type, such as LabelConnection.
        total: the name of the field with the number of all nodes.
        more: further fields of the connection.
    """
    everything = list(nodes)

    def page(
        first: int | None = None, last: int | None = None, after: str | None = None, before: str | None = None
    ) -> dict[str, Any]:
        _within(typename, first, last)
        low = _place(after) if after else 0
        high = _place(before) - 1 if before else len(everything)
        if first is not None:
            high = min(high, low + first)
        if last is not None:
            low = max(low, high - last)
        cut = everything[low:high]
        info = {
            "__typename": "PageInfo",
            "hasNextPage": high < len(everything),
            "hasPreviousPage": low > 0,
            "startCursor": cursor(low + 1) if cut else None,
            "endCursor": cursor(high) if cut else None,
        }
        edge = {"__typename": typename.replace("Connection", "Edge")}
        edges = [{**edge, "node": node, "cursor": cursor(low + number)} for number, node in enumerate(cut, 1)]
        bounds = (typename, first, last)
        parts = {"nodes": _bounded(*bounds, cut), "edges": _bounded(*bounds, edges), "pageInfo": info}
        return {"__typename": typename, **parts, total: len(everything), **more}

    return page


def _bounded(typename: str, first: int | None, last: int | None, value: list[Any]) -> Callable[[], list[Any]]:
    """The number of all nodes may be asked for without a bound, the nodes themselves may not."""

    def bounded() -> list[Any]:
        if first is None and last is None:
            message = f"You must provide a `first` or `last` value to properly paginate the `{typename}`."
            raise Refused(message, "MISSING_PAGINATION_BOUNDARIES")
        return value

    return bounded


def _within(typename: str, first: int | None, last: int | None) -> None:
    for name, number in (("first", first), ("last", last)):
        if number is not None and not 0 <= number <= MOST:
            message = f"Requesting {number} records on the `{typename}` exceeds the `{name}` limit of {MOST} records."
            raise Refused(message, "EXCESSIVE_PAGINATION")
