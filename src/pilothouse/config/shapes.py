"""The shape of pilothouse.yml as pydantic models: strict, every key known. Descriptions become the JSON Schema."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from pilothouse.config.models import Models
from pilothouse.config.policy import Approver, ManualCheck, Policy
from pilothouse.config.scalars import (
    Argv,
    Branch,
    Duration,
    Fingerprint,
    Identity,
    InsidePath,
    Line,
    Name,
    Remote,
    Repository,
    TagPrefix,
    Url,
    UrlPath,
    Variable,
)
from pilothouse.config.shape import Shape, duration, listing
from pilothouse.config.trail import Audit, Promotion, Tickets
from pilothouse.config.triggers import MilestoneClosed, PhaseReached, Schedule


class Command(Shape):
    """A command that acts. Without ``probe`` its acts are of class H: after a crash a person is asked."""

    run: Argv = Field(description="what acts")
    probe: Argv | None = Field(
        default=None, description="prints {state: absent|applied|conflict, …}; never changes anything"
    )
    verify: Argv | None = Field(default=None, description="read-after-write in place of the probe")
    timeout: Duration = duration("5m", "how long one call may take")


class Suite(Shape):
    """A test command, run in an isolated checkout of the pinned commit."""

    run: Argv = Field(description="the command; exit 0 is a pass only together with its own count of tests")
    timeout: Duration = duration("5m", "how long it may take")
    environment: Variable | None = Field(default=None, description="the variable that carries the environment's URL")


class PushDeploy(Shape):
    """A deployment by moving a branch of the remote; what listens to that branch deploys."""

    model: Literal["push"] = Field(description="a push to a branch deploys")
    branch: Branch = Field(description="the branch whose push deploys")
    timeout: Duration = duration("5m", "how long the environment may take to answer with the new version")


class CommandDeploy(Shape):
    """A deployment by a command."""

    model: Literal["command"] = Field(description="a command deploys")
    run: Argv = Field(
        description="what deploys; {environment}, {version}, {commit} and {key} stand for one argument each"
    )
    probe: Argv | None = Field(
        default=None, description="prints {state: absent|applied|conflict, …}; never changes anything"
    )
    verify: Argv | None = Field(default=None, description="read-after-write in place of the probe")
    timeout: Duration = duration("5m", "how long one call may take")


class Health(Shape):
    """When an environment counts as healthy."""

    path: UrlPath = Field(description="the path that answers 200 when all is well")
    version: UrlPath = Field(description="the path that answers the running version and commit")
    times: int = Field(default=3, ge=1, le=100, description="looks in a row that must be good")
    every: Duration = duration("2s", "pause between two looks")
    timeout: Duration = duration("5s", "how long one look may take")
    deadline: Duration = duration("2m", "after this long without enough good looks it is unhealthy")
    allow_private: bool = Field(default=False, description="permit loopback and private addresses (else refused)")


class Database(Shape):
    """An environment's database, reached through the project's own commands."""

    identity: Identity = Field(description="must equal what `pending` answers as database")
    pending: Argv = Field(description="prints the applied and the pending migrations as one JSON object")
    migrate: Command = Field(description="applies the migrations {names}")
    backup: Command = Field(description="makes the backup {key}")
    restore: Command = Field(description="restores the backup {key}")


class Logs(Shape):
    """Recent log lines, read at the staging sign-off."""

    run: Argv = Field(description="prints recent log lines")
    reject: list[Line] = Field(min_length=1, description="texts that must not be among them")


class Metrics(Shape):
    """The Prometheus text page of an environment."""

    path: UrlPath = Field(description="http_requests_total{code} and http_request_duration_seconds_bucket")


class Environment(Shape):
    """Where the product runs."""

    url: Url = Field(description="its address; no user, password or query in it")
    credentials: list[Variable] = listing("variables that only commands acting on this environment receive")
    deploy: Annotated[PushDeploy | CommandDeploy, Field(discriminator="model")] = Field(
        description="how a commit gets there"
    )
    health: Health = Field(description="when it counts as healthy")
    database: Database | None = Field(default=None, description="its database, where it has one")
    logs: Logs | None = Field(default=None, description="its logs, read at the sign-off")
    settings: Argv | None = Field(
        default=None, description="prints its settings as JSON without secrets, compared for drift"
    )
    metrics: Metrics | None = Field(default=None, description="its metrics page, needed for a watch")


class Environments(Shape):
    """The two environments that a release goes through."""

    staging: Environment | None = Field(default=None, description="where a release is proven")
    production: Environment = Field(description="where users are")


class Forge(Shape):
    """Where pull requests, checks, issues and releases live."""

    kind: Literal["github"] = Field(description="the forge's kind")
    repository: Repository = Field(description="owner/name, always given to gh as -R")
    credentials: list[Variable] = listing("variables that only gh receives")
    environment: list[Variable] = listing("further variables, not secret, handed through to gh")


class VersionFile(Shape):
    """A file that carries the version."""

    path: InsidePath = Field(description="the file, relative to the product's folder")
    pattern: str = Field(default="", description="a regular expression with one group around the version")


def _path_alone(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


class Versioning(Shape):
    """How versions are decided and where they are written."""

    scheme: Literal["semver"] = Field(default="semver", description="semantic versioning")
    tag_prefix: TagPrefix = Field(default="v", description="what stands before the version in a tag")
    changelog: InsidePath = Field(default="CHANGELOG.md", description="the changelog, in Keep-a-Changelog form")
    files: list[
        Annotated[VersionFile, BeforeValidator(_path_alone, json_schema_input_type=str | VersionFile)]
    ] = Field(default_factory=list, description="package.json, pyproject.toml, or any file with a pattern")  # fmt: skip


class Readiness(Shape):
    """What must hold before a release starts."""

    checks: list[Line] = listing("names of the required checks; empty: every check that reported, and at least one")
    allow_skipped: list[Line] = listing("checks that may be skipped or neutral")
    blocker_labels: list[Line] = listing("an open issue with one of these labels blocks", "critical", "high")
    release_label: Line = Field(default="next-release", description="an open pull request with this label blocks")
    allowed_secrets: list[Fingerprint] = listing(
        "fingerprints of findings that are no secrets; read from the base branch of the remote, never from disk"
    )


class Drift(Shape):
    """How staging and production may differ."""

    ignore: list[Line] = listing("keys of the settings that may differ")


class ErrorRate(Shape):
    """How much the share of failed requests may rise over the baseline."""

    rise: int = Field(ge=1, le=100_000, description="how much more than the baseline is too much")
    unit: Literal["points", "relative"] = Field(
        description="points: percentage points; relative: per cent of the baseline"
    )


class Latency(Shape):
    """How much slower than the baseline requests may become."""

    rise: int = Field(ge=1, le=100_000, description="how much more than the baseline is too much")
    unit: Literal["points", "relative"] = Field(description="points: milliseconds; relative: per cent of the baseline")
    quantile: Literal["p50", "p95", "p99"] = Field(description="which latency is compared")


class Watch(Shape):
    """The watch after a deployment. Its window is part of what is approved and is never shortened."""

    window: Duration = duration("30m", "how long production is watched; under 15m only with policy.allow_short_watch")
    every: Duration = duration("15s", "pause between two looks")
    error_rate: ErrorRate = Field(description="threshold for failed requests")
    latency: Latency = Field(description="threshold for slow requests")


class Rollback(Shape):
    """What the approver is told about the way back."""

    minutes: int = Field(default=5, ge=1, le=1440, description="how long undoing takes, told on the card")
    restore: Literal["ask", "auto"] = Field(
        default="auto", description="ask: every restore asks a person; auto: only one that loses data does"
    )


class Finalise(Shape):
    """What happens to the release branch at the end."""

    delete_branch: bool = Field(default=False, description="delete the release branch once main contains it")


TOLD = ("waiting", "refused", "halted", "done", "rolled-back")
Told = Literal["waiting", "refused", "halted", "done", "rolled-back"]


class ConsoleNotice(Shape):
    """Notices on the terminal."""

    channel: Literal["console"] = Field(description="the terminal")


class FileNotice(Shape):
    """Notices as JSON lines in a file."""

    channel: Literal["file"] = Field(description="a file of JSON lines")
    path: InsidePath = Field(description="the file, inside the project")
    states: list[Told] = listing("states of a run that are told here besides what its workflow announces")


class AppriseNotice(Shape):
    """Notices through a service that apprise knows: mail, Slack, Teams, Matrix and many more."""

    channel: Literal["apprise"] = Field(description="a service of apprise (install pilothouse[notify])")
    url_variable: Variable = Field(description="the variable that holds apprise's URL, a secret")
    states: list[Told] = listing("states of a run that are told here", *TOLD)


class _WebNotice(Shape):
    """Notices over HTTP, one message a run that is updated through its states."""

    url_variable: Variable = Field(description="the variable that holds the address, a secret")
    allow_private: bool = Field(default=False, description="permit loopback and private addresses (else refused)")
    states: list[Told] = listing("states of a run that are told here", *TOLD)


class NtfyNotice(_WebNotice):
    """Notices on a topic of ntfy."""

    channel: Literal["ntfy"] = Field(description="a topic of ntfy; from 2.16 on it updates what it showed")


class WebhookNotice(_WebNotice):
    """Notices as JSON, put under the address of the run's message."""

    channel: Literal["webhook"] = Field(description="PUT of JSON to URL/MESSAGE, one address a run")


class Product(Shape):
    """What ships: one repository, one path in it."""

    title: Line | None = Field(default=None, description="its name for people; default: the product's name")
    phase: Literal["active", "paused", "retired"] = Field(default="active", description="only an active product ships")
    path: InsidePath = Field(default=".", description="its folder in the repository")
    remote: Remote = Field(default="origin", description="the git remote that is released from")
    remote_token: Variable | None = Field(
        default=None, description="the variable whose token logs git in to an https remote; only git receives it"
    )
    base: Branch = Field(default="main", description="the branch that is released")
    forge: Forge | None = Field(default=None, description="its forge")
    versioning: Versioning = Field(default_factory=Versioning, description="how versions are decided and written")
    readiness: Readiness = Field(default_factory=Readiness, description="what must hold before a release starts")
    suites: dict[Name, Suite] = Field(
        default_factory=dict, description="test commands by name: e2e, smoke, performance, …"
    )
    manual_checks: list[ManualCheck] = Field(
        default_factory=list, description="what only a person can check, answered with `pilothouse validate`"
    )
    not_verified: list[Line] = listing("what nobody checks; shown on the card")
    environments: Environments = Field(description="staging and production")
    drift: Drift = Field(default_factory=Drift, description="how staging and production may differ")
    watch: Watch | None = Field(default=None, description="the watch after a deployment")
    rollback: Rollback = Field(default_factory=Rollback, description="the way back")
    finalise: Finalise = Field(default_factory=Finalise, description="what happens at the end")
    promotion: Promotion | None = Field(default=None, description="for `promote-audited`: the branch that is promoted")
    audit: Audit | None = Field(default=None, description="release records on the remote; without it none are written")
    tickets: Tickets | None = Field(default=None, description="where tickets live")
    notify: list[
        Annotated[
            ConsoleNotice | FileNotice | AppriseNotice | NtfyNotice | WebhookNotice, Field(discriminator="channel")
        ]
    ] = Field(default_factory=list, description="where notices go")


class Configuration(Shape):
    """pilothouse.yml: the products of a project, and its policy."""

    may_be_null: ClassVar[frozenset[str]] = frozenset({"models"})  # said aloud: no model
    version: Literal[1] = Field(description="the format's version")
    workflow: Name = Field(default="release", description="what `pilothouse ship` starts")
    ledger: Literal["local", "git"] = Field(
        default="local",
        description="local: .pilothouse/ on this disk; git: on the remote's refs/pilothouse/, where disks vanish",
    )
    products: dict[Name, Product] = Field(min_length=1, description="what ships, by name")
    approvers: list[Approver] = listing("who may approve; read from the base branch of the remote; none: nobody may")
    policy: Policy = Field(default_factory=Policy, description="what code enforces beyond the workflow")
    schedules: list[Schedule] = Field(default_factory=list, description="runs that a clock starts (pilothouse worker)")
    events: list[Annotated[MilestoneClosed | PhaseReached, Field(discriminator="on")]] = Field(
        default_factory=list, description="runs that an event starts (pilothouse worker)"
    )
    models: Models | None = Field(
        default=None, description="with which models the agents think; without it, or null: they are scripted"
    )
