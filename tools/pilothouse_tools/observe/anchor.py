"""Where the ledger stands, as a line of a tag's message: the tag vouches for the ledger from outside (AUT-1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, Observation
from pilothouse_tools.door import Arguments, observes

if TYPE_CHECKING:
    from pilothouse_tools.context import Context

_HASH = re.compile(r"[0-9a-f]{64}")


def _anchor(context: Context, arguments: Arguments) -> Observation:
    head = arguments.record("head")
    seq, entry = head.get("seq"), head.get("hash")
    if type(seq) is not int or not isinstance(entry, str) or not _HASH.fullmatch(entry):
        raise ToolFailed("bad-argument", "ledger.anchor argument 'head' is no head of a ledger")
    if context.product.audit is None:
        return Observation({"trailer": ""}, "", "no audit is configured, so nothing is anchored")
    return Observation({"trailer": f"Pilothouse-Ledger: {seq} {entry}"}, "", f"the ledger is at {seq}, {entry[:12]}")


TOOLS = (
    observes(
        "ledger.anchor", "The head of the ledger as a trailer of a message; empty where no audit is configured",
        {"head": Argument("object")}, {"trailer": "text"}, _anchor,
    ),
)  # fmt: skip
