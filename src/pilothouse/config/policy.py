"""The shape of policy: who may approve, what needs which approval, and what else code enforces."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from pilothouse.config.scalars import (
    ApproverId,
    Duration,
    InsidePath,
    Line,
    LocalTime,
    Name,
    PublicKey,
    Recurrence,
    demand_coming,
)
from pilothouse.config.shape import Shape, duration, listing
from pilothouse.config.triggers import Zone


class Approver(Shape):
    """One who may approve. How they are known: by an account of the machine, or by an SSH key."""

    id: ApproverId = Field(description="the name under which approvals are recorded, for example an address")
    name: Line = Field(default="", description="the name for people")
    email: Line = Field(default="", description="where they are reached")
    groups: list[Name] = listing("the groups they belong to", "ceo")
    accounts: list[Line] = listing("their accounts on the machines that ship (a terminal proves no more than that)")
    ssh_key: PublicKey | None = Field(default=None, description="their SSH public key, as in authorized_keys")


class Needed(Shape):
    """So many distinct people of a group."""

    group: Name = Field(default="ceo", description="the group that is asked")
    number: int = Field(default=1, ge=1, le=20, description="how many distinct people of it")


class Approval(Needed):
    """What every checkpoint needs."""

    four_eyes: Literal["require", "record"] = Field(
        default="record",
        description="require: who started the run cannot approve it; record: they can, as an exception on the record",
    )
    signature: Literal["allow", "require"] = Field(
        default="allow", description="require: only an SSH signature over the approval counts"
    )


def _needed(about: str) -> Needed:
    needed: Needed = Field(default_factory=Needed, description=about)
    return needed


class Additional(Shape):
    """What is needed besides, each named on the card, where a range touches the rules or the product's data."""

    ci: Needed = _needed("it changes what CI runs (.github/workflows and the like)")
    policy: Needed = _needed("it changes pilothouse.yml, workflows, agents or approvals")
    prompts: Needed = _needed("it changes prompts")
    lock_files: Needed = _needed("it changes dependency lock files")
    destructive_sql: Needed = _needed("a migration drops, truncates or deletes")
    emergency: Needed = _needed("it ships through a freeze or a lock, which somebody has overridden")


class Freeze(Shape):
    """A window in which nothing ships, once or again and again. Rollbacks are exempt."""

    name: Name = Field(description="by which it is told and overridden")
    reason: Line = Field(description="why; whoever is refused reads it")
    start: LocalTime = Field(description="when the first window begins, in local time, for example 2026-12-18T16:00")
    rule: Recurrence | None = Field(
        default=None, description="RFC 5545, for example FREQ=WEEKLY;BYDAY=FR; without it there is one window"
    )
    duration: Duration = Field(description="how long a window is, in local time (d: whole days)")
    time_zone: Zone = Field(description="in which the times are read, for example Europe/Berlin")
    products: list[Name] = listing("which products it holds; empty: every one")

    @field_validator("rule")
    @classmethod
    def _comes(cls, rule: str | None, info: ValidationInfo) -> str | None:
        if rule is not None and "start" in info.data:  # a start that is wrong is told by itself
            demand_coming(rule, info.data["start"])
        return rule


class Override(Needed):
    """Who may let a run through a freeze or a lock, and take somebody else's lock off."""


class ManualCheck(Shape):
    """What only a person can check, once a commit."""

    id: Name = Field(description="by which its answers are recorded")
    ask: Line = Field(description="the question, answered by yes or no")
    max_age: Duration = duration("7d", "how long an answer is good")


class Policy(Shape):
    """What code enforces beyond the workflow."""

    approval: Approval = Field(default_factory=Approval, description="what a checkpoint needs")
    additional: Additional = Field(
        default_factory=Additional, description="what a release needs besides, by what it touches"
    )
    freezes: list[Freeze] = Field(default_factory=list, description="windows in which nothing ships")
    override: Override | None = Field(
        default=None,
        description="who may override a freeze or a lock, and take off another's lock; default: as for approval",
    )
    lock_after_rollback: bool = Field(
        default=True, description="after a rollback the product is locked until somebody has looked"
    )
    checkpoint_expires: Duration = duration("3d", "how long a checkpoint waits for a person")
    scripted_approvals: InsidePath | None = Field(
        default=None,
        description="a file with approvals for CI, read from the base branch of the remote, never from disk",
    )
    allow_short_watch: bool = Field(default=False, description="permit a watch window under 15m; shown on the card")
    unconfigured_suites: Literal["refuse", "allow"] = Field(
        default="refuse", description="what a suite that is not configured means at a gate"
    )
    elicitation: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="allow: a word counts, too, that an agent chat's client says its person typed (docs/agent-chat.md)",
    )
