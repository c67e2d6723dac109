"""A small set of tools to check workflows against: the contracts of the real ones, without their weight."""

from __future__ import annotations

from collections.abc import Mapping

from pilothouse.model import Argument, EffectClass, Kind, Reach, ToolSpec
from pilothouse.playbook.find import load_templates
from pilothouse.playbook.review import agent_names

RULES = frozenset({
    "credentials-present", "tools-known", "product-shippable", "manual-checks-answered", "ci-green", "nothing-left-to-merge", "no-blockers", "changelog-ready", "no-secrets", "suite-passed",
    "migrations-expected", "live", "still-live", "backed-up", "healthy", "logs-clean", "no-drift", "restore-lossless",
})  # fmt: skip


def _arguments(text: str) -> dict[str, Argument]:
    pairs = (part.split(":") for part in text.split())
    return {name.rstrip("?"): Argument(kind, required=not name.endswith("?")) for name, kind in pairs}


def _results(text: str) -> dict[str, str]:
    return dict(part.split(":") for part in text.split())


def _tool(name: str, kind: Kind, arguments: str, results: str) -> ToolSpec:
    return ToolSpec(name, kind, name, _arguments(arguments), _results(results))


def _act(
    name: str, arguments: str, results: str, *, reach: Reach | None = Reach.WORKSPACE, undoable: bool = True,
    effect: EffectClass = EffectClass.KEYED,
) -> ToolSpec:  # fmt: skip
    return ToolSpec(name, Kind.ACT, name, _arguments(arguments), _results(results), reach, undoable, effect)


_OBSERVE = (
    ("git.contents", "from:sha to:sha", "commits:integer features:object pulls:object"),
    ("git.diff", "from:sha to:sha path?:text line?:integer", "text:text lines:integer next:integer"),
    ("git.grep", "sha:sha text:text path?:text", "matches:object more:flag"),
    ("git.list", "sha:sha path?:text", "entries:object more:flag"),
    ("git.read", "sha:sha path:text line?:integer", "text:text lines:integer next:integer"),
    ("git.touched", "from:sha to:sha", "ci:names policy:names prompts:names lock_files:names destructive_sql:names"),
    ("git.secrets", "from:sha to:sha live?:sha", "complete:flag count:integer findings:object allowed:names scanners:names skipped:names"),
    ("forge.ci", "sha:sha", "sha:sha checks:object complete:flag"),
    ("forge.open_pulls", "labels:labels", "pulls:object"),
    ("forge.issues", "labels:labels", "issues:object"),
    ("forge.pulls", "numbers:object", "pulls:object missing:object"),
    ("changelog.unreleased", "sha:sha", "entries:integer sections:object found:flag"),
    ("version.decide", "sha:sha current:version requested?:text contents:object",
     "version:version previous:version bump:text why:text tag:tag branch:ref"),
    ("migrations.pending", "environment:environment sha:sha from:sha live?:sha",
     "database:text pending:object expand:names contract:names any:flag any_expand:flag any_contract:flag order:text"),
    ("tests.run", "suite:suite sha:sha environment?:environment version?:version", "suite:suite passed:flag total:integer"),
    ("health.check", "environment:environment version:version sha?:sha", "healthy:flag version:version sha:sha"),
    ("deploy.current", "environment:environment", "version:version sha:sha reachable:flag head:sha tree:text"),
    ("metrics.sample", "environment:environment", "requests:integer errors:integer buckets:object at:text"),
    ("logs.scan", "environment:environment sha:sha", "configured:flag hits:object lines:integer"),
    ("settings.drift", "sha:sha", "configured:flag differences:object"),
    ("credentials.present", "", "missing:object"),
    ("tools.present", "", "tools:object"),
    ("checks.answered", "sha:sha", "sha:sha checks:object"),
    ("product.standing", "", "product:text phase:text base:text environments:names"),
    ("backup.compare", "environment:environment sha:sha backup:key", "writes_since:integer"),
)  # fmt: skip
_DRAFT = (
    ("changelog.finalise", "sha:sha version:version previous:version date:text", "text:text section:text"),
    ("notes.render", "version:version previous:version date:text contents:object pulls:object section:text sha?:sha",
     "text:text headline:text"),
    ("issue.render", "version:version previous:version why:text postmortem:text", "title:text text:text"),
    ("postmortem.render", "version:version previous:version why:text timeline:object", "text:text"),
    ("notice.render", "event:text version:version previous:version url:text live:text", "text:text headline:text"),
)  # fmt: skip
_ACT = (
    _act("git.release_branch", "branch:ref base:sha version:version changelog:text date:text supersedes:text", "sha:sha branch:ref"),
    _act("git.merge", "branch:ref into:ref commit:sha version:version", "sha:sha", undoable=False),
    _act("git.tag", "tag:tag commit:sha message:text", "tag:tag object:sha", undoable=False),
    _act("git.delete_branch", "branch:ref commit:sha into:ref", "", undoable=False),
    _act("deploy.apply", "environment:environment commit:sha version:version", "sha:sha commit:sha version:version url:text", reach=None),
    _act("migrate.apply", "environment:environment sha:sha names:names", "applied:names", reach=None, effect=EffectClass.QUIESCE),
    _act("backup.create", "environment:environment sha:sha", "key:key bytes:integer sha256:text", reach=None),
    _act("backup.restore", "environment:environment sha:sha backup:key", "", reach=None, undoable=False),
    _act("forge.release", "tag:tag title:text notes:text", "url:text", undoable=False),
    _act("forge.issue", "title:text body:text labels:labels", "number:integer url:text", undoable=False),
    _act("forge.pull_request", "head:ref base:ref title:text body:text", "number:integer url:text"),
    _act("notify.send", "event:text body:text", ""),
    _act("shell.run", "environment:environment", "", reach=None, effect=EffectClass.HUMAN),
)  # fmt: skip

SPECS: Mapping[str, ToolSpec] = {
    spec.name: spec
    for spec in (
        *(_tool(name, Kind.OBSERVE, arguments, results) for name, arguments, results in _OBSERVE),
        *(_tool(name, Kind.DRAFT, arguments, results) for name, arguments, results in _DRAFT),
        *_ACT,
    )
}
TOOL_KINDS: Mapping[str, Kind] = {name: spec.kind for name, spec in SPECS.items()}
AGENTS = agent_names(None)
TEMPLATES = frozenset(load_templates(None))
