"""Orders: what a person said, or a model proposed, as a typed thing that can be shown in words before it starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from pilothouse import requested
from pilothouse.canonical import Json
from pilothouse.errors import UsageError
from pilothouse.render.text import safe
from pilothouse.workspace import Request

Do = Literal["ship", "rollback", "resume", "abort", "status"]
DOINGS: tuple[Do, ...] = ("ship", "rollback", "resume", "abort", "status")
_FIELDS = frozenset({"do", "product", "workflow", "version", "run", "severity", "reason"})
_LONGEST = 200  # characters of a reason


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done: ``request`` of a ship or rollback, ``run`` of the others, ``reason`` of an abort."""

    do: Do
    request: Request | None = None
    run: str = ""
    reason: str = ""


def of_request(request: Request) -> Order:
    """The order that starts a request."""
    return Order("rollback" if request.workflow == requested.ROLLBACK else "ship", request)


def proposed(given: Mapping[str, Json], products: Collection[str]) -> Order:
    """An order as a model wrote it: every field is checked as if a stranger had sent it.

    Args:
        given: the arguments of its proposal.
        products: those of pilothouse.yml.

    Raises:
        UsageError: it is no order that this host could show.
    """
    strange = sorted(set(given) - _FIELDS)
    if strange:
        raise UsageError("usage", f"an order has no {safe(strange[0], 40)!r}")
    fields: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(value, str) or not value.isprintable() or len(value) > _LONGEST:
            raise UsageError("usage", f"{name} is no short plain text")
        fields[name] = value.strip()

    def said(name: str) -> str:
        return fields.get(name, "")

    if said("do") not in DOINGS:
        raise UsageError("usage", f"do is one of: {', '.join(DOINGS)}")
    do = cast("Do", said("do"))
    if do in {"ship", "rollback"}:
        product = said("product") or (next(iter(products)) if len(products) == 1 else "")
        if product not in products:
            raise UsageError("unknown-product", f"there is no product {safe(product, 40)!r}", ", ".join(products))
        workflow = requested.ROLLBACK if do == "rollback" else said("workflow")
        reason = said("reason") or "asked for in a chat"
        made = requested.from_arguments(product, workflow, said("version"), said("severity") or "high", reason)
        if do == "ship" and made.workflow == requested.ROLLBACK:
            raise UsageError("usage", "a rollback is ordered as do: rollback")
        return Order(do, made)
    if do == "abort" and not said("reason"):
        raise UsageError("reason-missing", "an abort goes on the record and needs a reason")
    return Order(do, run=said("run"), reason=said("reason"))


def in_words(order: Order, default_workflow: str) -> str:
    """What an order would do, in one line, from its typed fields alone.

    Args:
        default_workflow: the project's, which an order without one means.
    """
    request = order.request
    if request is None:
        what = {"resume": "go on with", "abort": "end for good", "status": "show"}[order.do]
        why = f", because: {safe(order.reason, _LONGEST)}" if order.reason else ""
        return f"{what} {safe(order.run, 60) or 'the open run'}{why}"
    if order.do == "rollback":
        target = f"to {safe(request.version, 40)}" if request.version else "to the version before"
        severity, reason = request.inputs.get("severity"), request.inputs.get("reason")
        return f"rollback of {request.product} {target}, severity {severity}: {safe(str(reason), _LONGEST)}"
    version = {
        "": "the version follows from the changes", "major": "a major version", "minor": "a minor version",
        "patch": "a patch version",
    }.get(request.version, f"version {safe(request.version, 40)}")  # fmt: skip
    dry = "dry run of " if request.dry_run else ""
    return f"{dry}{safe(request.workflow or default_workflow, 60)} of {request.product}, {version}"
