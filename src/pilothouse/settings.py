"""What a product's configuration means to the tools and the guard: plain frozen values.

``config.py`` reads pilothouse.yml strictly and makes these; nobody below it sees YAML.
Durations are seconds (float); windows and ages whole seconds (int).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pilothouse.canonical import Json
from pilothouse.model import Approver


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
    allowed_secrets: tuple[str, ...] = ()  # fingerprints; only what the base branch holds counts


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
class Promotion:
    """What ``promote-audited`` moves the base branch to; ``timeout`` (seconds) is of the deployment that follows.

    ``deployment`` is the environment's name in the forge's deployments.
    """

    branch: str = "staging"
    deployment: str = "production"
    timeout: float = 1200.0


@dataclass(frozen=True, slots=True)
class Audit:
    """The release records on the remote.

    Attributes:
        branch: where they are written, never rewritten.
        archive: path of a pull request's archive there, with ``{number}``.
        areas: path globs by the area's name.
        unlinked_commits: ``block`` or ``list``: what follows from a commit without a pull request.
        signing_key: the variable that names a private key's file; empty: records are not signed.
        public_key: that key's public half, as SSH writes it; empty: none.
    """

    branch: str = "compliance-archives"
    archive: str = "archives/pr-{number}.md"
    areas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unlinked_commits: str = "block"
    signing_key: str = ""
    public_key: str = ""


@dataclass(frozen=True, slots=True)
class Tickets:
    """Where tickets live: an MCP server of .mcp.json.

    ``tools`` maps what is wanted (``get``, ``comment``, ``comments``) to names that are tried before the known ones;
    ``timeout`` is seconds of one call.
    """

    server: str = "linear"
    pattern: str = "[A-Z][A-Z0-9]{1,9}-[0-9]{1,6}"
    tools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    credentials: tuple[str, ...] = ()
    comment: bool = True
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Notice:
    """Where notices go: console, file (JSON lines, ``path`` within the project), apprise, ntfy or webhook.

    ``url_variable`` names the variable that holds the service's address, which is a secret. ``states`` are those of a
    run that are told there besides what its workflow announces.
    """

    channel: str
    path: str = ""
    url_variable: str = ""
    states: tuple[str, ...] = ()
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Needed:
    """So many distinct approvers of a group."""

    group: str = "ceo"
    number: int = 1


# What a range may touch that asks for more: the facts of git.touched, the keys of policy.additional.
TOUCHES = ("ci", "policy", "prompts", "lock_files", "destructive_sql")


@dataclass(frozen=True, slots=True)
class Freeze:
    """A window in which nothing ships. Times are local, in ``time_zone``.

    Attributes:
        start: ISO 8601 without an offset; of the first window.
        rule: RFC 5545 (FREQ=WEEKLY;BYDAY=FR), empty for one window only.
        duration: seconds.
        products: which are held; empty: every one.
    """

    name: str
    reason: str
    start: str
    rule: str
    duration: int
    time_zone: str
    products: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ManualCheck:
    """What only a person can check: asked by ``pilothouse validate``; an answer is good for ``max_age`` seconds."""

    id: str
    ask: str
    max_age: int = 7 * 86400


@dataclass(frozen=True, slots=True)
class Policy:
    """What code enforces beyond the workflow. Times in seconds.

    ``additional`` is by what a range touches (ci, policy, prompts, lock_files, destructive_sql), and ``emergency``.
    """

    checkpoint_expires: int = 3 * 86400
    scripted_approvals: str | None = None
    allow_short_watch: bool = False
    unconfigured_suites: str = "refuse"
    approval: Needed = Needed()
    additional: Mapping[str, Needed] = field(default_factory=lambda: dict.fromkeys((*TOUCHES, "emergency"), Needed()))
    four_eyes: str = "record"
    signature: str = "allow"
    freezes: tuple[Freeze, ...] = ()
    override: Needed = Needed()
    lock_after_rollback: bool = True
    elicitation: str = "refuse"


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
    manual_checks: tuple[ManualCheck, ...] = ()
    phase: str = "active"  # active, paused or retired: only an active product ships
    promotion: Promotion | None = None
    audit: Audit | None = None  # None: no records are written
    tickets: Tickets | None = None
    remote_token: str = ""  # the variable with which git logs in to an https remote; empty: as ssh or the URL does


@dataclass(frozen=True, slots=True)
class Schedule:
    """A run that a clock starts: ``cron`` in ``time_zone``; a missed slot is made up for ``catch_up`` seconds."""

    product: str
    workflow: str
    cron: str
    time_zone: str
    catch_up: int


@dataclass(frozen=True, slots=True)
class Trigger:
    """A run that an event starts: ``on`` is ``milestone-closed`` (a title, ``*`` for any text) or ``phase-reached``.

    ``of`` is the product whose phase or milestone is meant; ``catch_up`` seconds is how long ago it may have happened.
    """

    product: str
    workflow: str
    on: str
    of: str
    milestone: str
    phase: str
    catch_up: int


@dataclass(frozen=True, slots=True)
class PersonaModel:
    """With which model a persona thinks. ``model`` empty: the default one; ``effort`` empty: the model's own.

    ``max_tokens`` is of one reply, ``turns`` of one step.
    """

    model: str = ""
    effort: str = ""
    max_tokens: int = 8000
    turns: int = 12


@dataclass(frozen=True, slots=True)
class Budget:
    """What models may use up. ``cost`` is in millionths of a US dollar; None: money is not counted."""

    tokens: int
    turns: int
    seconds: int
    cost: int | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """What a model costs: millionths of a US dollar for a million tokens, of each kind."""

    input: int
    output: int
    cache_read: int
    cache_write: int

    def cost(self, *, tokens_in: int, out: int, cache_read: int = 0, cache_write: int = 0) -> int:
        """What so many tokens cost, in millionths of a US dollar, rounded up."""
        parts = tokens_in * self.input + out * self.output + cache_read * self.cache_read
        return -(-(parts + cache_write * self.cache_write) // 1_000_000)


BUDGETS: Mapping[str, Budget] = {
    "step": Budget(tokens=200_000, turns=12, seconds=300),
    "run": Budget(tokens=2_000_000, turns=120, seconds=3600),
    "day": Budget(tokens=10_000_000, turns=1200, seconds=86_400),
}


@dataclass(frozen=True, slots=True)
class Models:
    """Which models the personas think with.

    Attributes:
        provider: anthropic, bedrock, vertex or foundry.
        base_url: another endpoint; empty: the provider's own.
        profile: what that endpoint lacks (``llm/profiles.py``); empty: nothing.
        key_variable: the variable that holds the key; only the model's client receives it.
        model: the default model.
        outage: what follows where no model answers: ``scripted`` or ``wait``.
        budgets: of a ``step``, a ``run`` and a ``day``.
        prices: by model id.
    """

    provider: str = "anthropic"
    base_url: str = ""
    profile: str = ""
    key_variable: str = "ANTHROPIC_API_KEY"
    model: str = "claude-sonnet-5"
    outage: str = "scripted"
    personas: Mapping[str, PersonaModel] = field(default_factory=dict)
    budgets: Mapping[str, Budget] = field(default_factory=lambda: dict(BUDGETS))
    prices: Mapping[str, Prices] = field(default_factory=dict)

    def of(self, persona: str) -> PersonaModel:
        """What a persona thinks with, its model named."""
        chosen = self.personas.get(persona, PersonaModel())
        return replace(chosen, model=chosen.model or self.model)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole pilothouse.yml: its products, policy, source text and path."""

    products: Mapping[str, Product]
    workflow: str
    policy: Policy
    source: str
    path: str
    settings: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)  # product -> what ``{setting: a.b}`` sees
    approvers: tuple[Approver, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    models: Models | None = None  # None: every agent is scripted
    ledger: str = "local"  # local, or git: kept on the remote's refs/pilothouse/
