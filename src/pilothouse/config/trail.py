"""The shapes of ``promotion``, ``audit`` and ``tickets``: which branch is promoted, and what proves it afterwards."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from pilothouse import settings
from pilothouse.config.scalars import Branch, Duration, InsidePath, Line, Name, PublicKey, Variable, no
from pilothouse.config.shape import Shape, duration, listing

_KEY = "[A-Z][A-Z0-9]{1,9}-[0-9]{1,6}"
_LONGEST = 200


def _pattern(value: str) -> str:
    """A pattern for ticket keys: it compiles, matches no empty text, and cannot be made to run for ever."""
    try:
        found = re.compile(value)
    except (re.error, RecursionError) as error:
        raise no(f"{value[:60]!a} is no regular expression: {error}", f"for example: {_KEY}") from None
    if len(value) > _LONGEST or found.groups or found.fullmatch("") or re.search(r"[*+?}][*+{]|\\\d", value):
        raise no(f"{value[:60]!a} is no plain pattern of a ticket's key", f"no groups, no nested repeats: {_KEY}")
    return value


def _archive(value: str) -> str:
    if value.count("{number}") != 1:
        raise no(f"{value[:60]!a} does not say where the number stands", "for example: archives/pr-{number}.md")
    return value


Pattern = Annotated[
    str, AfterValidator(_pattern), WithJsonSchema({"type": "string", "description": "a regular expression, no groups"})
]
ArchivePath = Annotated[
    str,
    AfterValidator(_archive),
    WithJsonSchema({"type": "string", "pattern": r"^[^{}]*\{number\}[^{}]*$", "description": "a path with {number}"}),
]


class Promotion(Shape):
    """What `promote-audited` moves the base branch to."""

    branch: Branch = Field(default="staging", description="the branch that is promoted to the product's base")
    deployment: Line = Field(
        default="production", description="the environment's name in the forge's deployments of the base branch"
    )
    timeout: Duration = duration("20m", "how long the deployment of the pushed commit may take")


class Audit(Shape):
    """The release records on the remote, and what they are held against."""

    branch: Branch = Field(default="compliance-archives", description="where records are written, never rewritten")
    archive: ArchivePath = Field(
        default="archives/pr-{number}.md", description="where the archive of a pull request lies on that branch"
    )
    areas: dict[Name, list[InsidePath]] = Field(
        default_factory=dict, description="changes by area: path globs (** crosses folders) by the area's name"
    )
    unlinked_commits: Literal["block", "list"] = Field(
        default="block",
        description="block: a commit without a pull request, or a pull request that nobody approved as merged, "
        "refuses; list: both pass, as exceptions on the record",
    )
    signing_key: Variable | None = Field(
        default=None, description="the variable that names the file of an ed25519 or SSH private key; signs each record"
    )
    public_key: PublicKey | None = Field(
        default=None, description="the SSH public key of signing_key, for those who verify"
    )


class TicketTools(Shape):
    """Names of an MCP server's tools besides those that are known."""

    get: list[Line] = listing("tools that answer one ticket by its key")
    comment: list[Line] = listing("tools that write a comment on a ticket")
    comments: list[Line] = listing("tools that list a ticket's comments")


class Tickets(Shape):
    """Where tickets live: an MCP server of .mcp.json."""

    server: Name = Field(default="linear", description="the server's name in .mcp.json")
    pattern: Pattern = Field(default=_KEY, description="how a ticket's key looks in subjects, bodies and pull requests")
    tools: TicketTools = Field(default_factory=TicketTools, description="its tools, where it names them its own way")
    credentials: list[Variable] = listing("variables that only this server receives, beside those .mcp.json names")
    comment: bool = Field(default=True, description="whether each ticket gets one comment once production runs it")
    timeout: Duration = duration("30s", "how long one call may take")


def promotion(shape: Promotion | None) -> settings.Promotion | None:
    """As the tools and the guard see it."""
    return settings.Promotion(shape.branch, shape.deployment, shape.timeout / 1000) if shape else None


def audit(shape: Audit | None) -> settings.Audit | None:
    """As the tools and the guard see it."""
    if shape is None:
        return None
    areas = {name: tuple(globs) for name, globs in shape.areas.items()}
    key, public = shape.signing_key or "", shape.public_key or ""
    return settings.Audit(shape.branch, shape.archive, areas, shape.unlinked_commits, key, public)


def tickets(shape: Tickets | None) -> settings.Tickets | None:
    """As the tools and the guard see it."""
    if shape is None:
        return None
    names = {wanted: tuple(getattr(shape.tools, wanted)) for wanted in type(shape.tools).model_fields}
    credentials = tuple(shape.credentials)
    return settings.Tickets(shape.server, shape.pattern, names, credentials, shape.comment, shape.timeout / 1000)
