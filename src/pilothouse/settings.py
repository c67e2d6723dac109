"""What a product's configuration means to the tools and the guard: plain frozen values.

``config.py`` reads pilothouse.yml strictly and makes these; nobody below it sees YAML.
Durations are seconds (float); windows and ages whole seconds (int).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pilothouse.canonical import Json


@dataclass(frozen=True, slots=True)
class Command:
    """A configured command: argv arrays, never a shell. Without a probe an act by it is of class H.

    A whole argument ``{names}`` expands to any number of arguments, ``{key}``, ``{environment}``, ``{version}`` and
    ``{commit}`` to one.
    """

    run: tuple[str, ...]
    probe: tuple[str, ...] | None = None
    verify: tuple[str, ...] | None = None
    timeout: float = 300.0


@dataclass(frozen=True, slots=True)
class Suite:
    """A test command, run in an isolated checkout. ``environment`` names the variable that carries the target's URL."""

    run: tuple[str, ...]
    timeout: float = 300.0
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class Deploy:
    """How a commit gets onto an environment: ``push`` to a branch whose push deploys, or a ``command``."""

    model: str
    branch: str = ""
    command: Command | None = None
    timeout: float = 300.0


@dataclass(frozen=True, slots=True)
class Health:
    """When an environment counts as healthy: ``times`` looks in a row, ``every`` seconds apart, within ``deadline``.

    ``allow_private`` permits addresses of private and loopback ranges (else refused, the SSRF rules).
    """

    path: str
    version: str
    times: int = 3
    every: float = 2.0
    timeout: float = 5.0
    deadline: float = 120.0
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Database:
    """An environment's database. ``identity`` must equal what the database itself answers (I12)."""

    identity: str
    pending: tuple[str, ...]
    migrate: Command
    backup: Command
    restore: Command


@dataclass(frozen=True, slots=True)
class Logs:
    """A command that prints recent log lines, and the texts that must not be among them."""

    run: tuple[str, ...]
    reject: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a product runs. ``credentials`` are names of variables that only its own children receive (I7)."""

    name: str
    url: str
    deploy: Deploy
    health: Health
    credentials: tuple[str, ...] = ()
    database: Database | None = None
    logs: Logs | None = None
    settings: tuple[str, ...] | None = None
    metrics_path: str | None = None


@dataclass(frozen=True, slots=True)
class Forge:
    """The forge of a product: ``credentials`` and ``environment`` name the variables that gh receives."""

    kind: str
    repository: str
    credentials: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionFile:
    """A file that carries the version. ``pattern`` has one group; empty for the formats that are known by name."""

    path: str
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Versioning:
    """How versions are decided and where they are written."""

    scheme: str = "semver"
    tag_prefix: str = "v"
    changelog: str = "CHANGELOG.md"
    files: tuple[VersionFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Readiness:
    """What must hold before a release starts (REL-1)."""

    checks: tuple[str, ...] = ()
    allow_skipped: tuple[str, ...] = ()
    blocker_labels: tuple[str, ...] = ("critical", "high")
    release_label: str = "next-release"


@dataclass(frozen=True, slots=True)
class Threshold:
    """How much worse than the baseline is too much; ``unit`` is ``points`` or ``relative`` (per cent of the baseline).

    For the error rate a point is one percentage point; for latency ``points`` are milliseconds and ``quantile`` is
    ``p50``, ``p95`` or ``p99``.
    """

    rise: int
    unit: str
    quantile: str = ""


@dataclass(frozen=True, slots=True)
class WatchRule:
    """The watch after a deployment: whole window and pause between looks in milliseconds, thresholds."""

    window_ms: int
    every_ms: int
    error_rate: Threshold
    latency: Threshold


@dataclass(frozen=True, slots=True)
class Rollback:
    """How long undoing takes (minutes, told on the card), and which restores ask a person again.

    ``auto``: one that loses data asks; ``ask``: every one does.
    """

    minutes: int = 5
    restore: str = "auto"


@dataclass(frozen=True, slots=True)
class Notice:
    """Where notices go: ``console``, or ``file`` (JSON lines, path within the project)."""

    channel: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What code enforces beyond the workflow. Times in seconds."""

    checkpoint_expires: int = 3 * 86400
    scripted_approvals: str | None = None
    allow_short_watch: bool = False
    unconfigured_suites: str = "refuse"


@dataclass(frozen=True, slots=True)
class Product:
    """One product: a repository and an optional path in it."""

    name: str
    title: str
    path: str
    remote: str
    base: str
    forge: Forge | None
    versioning: Versioning
    readiness: Readiness
    suites: Mapping[str, Suite]
    not_verified: tuple[str, ...]
    environments: Mapping[str, Environment]
    drift_ignore: tuple[str, ...]
    watch: WatchRule | None
    rollback: Rollback
    delete_branch: bool
    notify: tuple[Notice, ...]
    remote_token: str = ""  # the variable with which git logs in to an https remote; empty: as ssh or the URL does


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole pilothouse.yml: its products, policy, source text and path."""

    products: Mapping[str, Product]
    workflow: str
    policy: Policy
    source: str
    path: str
    settings: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)  # product -> what ``{setting: a.b}`` sees
