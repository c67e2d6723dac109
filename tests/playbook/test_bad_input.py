"""Every spoilt file is refused with a typed error, the right line and a hint; the files themselves stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pilothouse import config
from pilothouse.errors import EXIT_USAGE, InvalidFile
from pilothouse.playbook import persona, problem
from pilothouse.playbook.check import checked
from playbook.samples import CONFIG, PERSONA, WORKFLOW, line_of, spoil
from playbook.specs import AGENTS, RULES, SPECS, TEMPLATES, TOOL_KINDS


@dataclass(frozen=True)
class Bad:
    """``old`` becomes ``new``; the error is on the line of ``mark`` (default: of ``new``) and says ``says`` and ``hint``."""

    id: str
    old: str
    new: str
    says: str
    hint: str = ""
    mark: str = ""


CONFIGURATION = (
    Bad("misspelt-top-key", "policy:\n", "polcy:\n", "unknown key 'polcy'", "did you mean 'policy'?"),
    Bad("misspelt-product-key", "    watch:\n", "    wacth:\n", "products.acme: unknown key 'wacth'", "'watch'"),
    Bad("misspelt-required-key", "      window: 6s", "      windw: 6s", "unknown key 'windw'", "'window'"),
    Bad("misspelt-environment", "      production:\n", "      prodution:\n", "unknown key 'prodution'", "'production'"),
    Bad("third-environment", "    drift:", "      canary: {}\n    drift:", "unknown key 'canary'", "known: staging, production", "canary"),
    Bad("duplicate-key", "    base: main\n", "    base: main\n    base: dev\n", "is there twice", "", "base: dev"),
    Bad("two-documents", "policy:\n", "---\npolicy:\n", "a second document"),
    Bad("an-alias", "    title: Acme\n", "    title: *acme\n", "alias"),
    Bad("a-tab", "    base: main\n", "    base:\tmain\n", "a tab", "spaces"),
    Bad("no-value", "    forge:\n", "    title2:\n    forge:\n", "unknown key 'title2'", "'title'"),
    Bad("empty-value", "      window: 6s\n", "      window:\n", "the key 'window' has no value", "leave the key out"),
    Bad("version-2", "version: 1\n", "version: 2\n", "version: expected 1"),
    Bad("version-text", "version: 1\n", 'version: "1"\n', "version: expected 1"),
    Bad("no-production", CONFIG[CONFIG.index("      production:\n") : CONFIG.index("    drift:")], "", "the key 'production' is missing",
        "a product needs environments.production", "    environments:"),
    Bad("bare-number-duration", "window: 6s", "window: 6", "a duration is a number with its unit", "15m"),
    Bad("unknown-unit-of-time", "every: 1s", "every: 1sec", "'1sec' is not a duration", "200ms"),
    Bad("zero-duration", "every: 1s", "every: 0s", "more than nothing"),
    Bad("list-for-text", "    base: main", "    base: [main]", "expected text, found a list"),
    Bad("text-for-list", "checks: [unit, lint]", "checks: unit", "expected a list, found text"),
    Bad("text-for-flag", "allow_short_watch: true", "allow_short_watch: yes", "expected true or false, found text"),
    Bad("text-for-mapping", "    rollback: {minutes: 2, restore: auto}", "    rollback: auto", "expected a mapping"),
    Bad("bad-product-name", "  acme:\n", "  Acme_Shop:\n", "'Acme_Shop' is not a name of lower-case letters", "acme"),
    Bad("repository-url", "repository: harbour/acme", "repository: https://github.com/harbour/acme", "owner/name", "harbour/acme"),
    Bad("repository-option", "repository: harbour/acme", "repository: --harbour/acme", "is not a repository"),
    Bad("other-forge", "kind: github", "kind: gitlab", "expected github"),
    Bad("remote-option", "remote: origin", "remote: --upload-pack=x", "is not the name of a git remote", "origin"),
    Bad("branch-dots", "    base: main", "    base: main..dev", "is not a branch name"),
    Bad("branch-lock", "branch: deploy/staging", "branch: deploy/staging.lock", "is not a branch name"),
    Bad("path-outside", "path: app/version.py", "path: ../version.py", "leaves the project", "'..'"),
    Bad("path-absolute", "changelog: CHANGELOG.md", "changelog: /etc/passwd", "is not inside the project", "relative"),
    Bad("path-home", "changelog: CHANGELOG.md", "changelog: ~/CHANGELOG.md", "is not inside the project"),
    Bad("path-git", "changelog: CHANGELOG.md", "changelog: .git/config", "is git's own"),
    Bad("approvals-outside", "scripted_approvals: approvals.yml", "scripted_approvals: ../approvals.yml", "leaves the project"),
    Bad("notice-path-missing", "{channel: file, path: .pilothouse/notices.jsonl}", "{channel: file}", "the key 'path' is missing"),
    Bad("notice-channel", "{channel: console}", "{channel: consol}", "expected console or file", "'console'"),
    Bad("credential-value", "[GH_TOKEN]", "[ghp-4f2a91c0]", "is not the name of a variable", "never its value"),
    Bad("credential-path", "[ACME_STAGING_DB]", "[PATH]", "PATH is set by Pilothouse", "leave it out"),
    Bad("credential-preload", "[ACME_STAGING_DB]", "[LD_PRELOAD]", "LD_PRELOAD is set by Pilothouse"),
    Bad("credential-shared", "[ACME_PRODUCTION_DB]", "[ACME_STAGING_DB]", "staging could read production's ACME_STAGING_DB", "its own",
        "      production:\n        url: http://127.0.0.1:4002\n        credentials: "),
    Bad("credential-of-the-forge", "[ACME_STAGING_DB]", "[GH_TOKEN]", "only gh receives it", "its own", "http://127.0.0.1:4001\n        credentials: [GH_TOKEN]"),
    Bad("secret-in-plain-environment", "[GH_CONFIG_DIR, GH_HOST]", "[GH_CONFIG_DIR, MY_API_TOKEN]", "looks like a secret", "forge.credentials"),
    Bad("url-with-password", "http://127.0.0.1:4001", "http://me:pass@127.0.0.1:4001", "may not carry a user or a password", "credentials"),
    Bad("url-file", "http://127.0.0.1:4001", "file:///etc/passwd", "is not an http or https URL"),
    Bad("url-same", "http://127.0.0.1:4002", "http://127.0.0.1:4001", "production has the address of staging", "its own address",
        "      production:\n        url: http://127.0.0.1:4001"),
    Bad("database-same", "identity: acme-production", "identity: acme-staging", "production has the database of staging", "",
        "health: {path: /health, version: /version}\n        database:\n          identity: acme-staging"),
    Bad("deploy-branch-is-base", "branch: deploy/staging", "branch: main", "the deploy branch is the base branch 'main'", "deploy/staging"),
    Bad("deploy-model", "model: push", "model: pull", "expected push or command"),
    Bad("deploy-model-missing", "{model: push, branch", "{branch", "the key 'model' is missing", "model: push"),
    Bad("push-with-command-keys", "{model: push, branch: deploy/staging", "{model: push, run: [x], branch: deploy/staging", "unknown key 'run'", "known: model, branch"),
    Bad("command-as-text", "settings: [python3, app/manage.py, settings]", "settings: python3 app/manage.py settings", "there is no shell", "not one text"),
    Bad("command-empty", "settings: [python3, app/manage.py, settings]", "settings: []", "at least the program"),
    Bad("command-one-word", "settings: [python3, app/manage.py, settings]", 'settings: ["python3 app/manage.py"]', "is one argument", "item of its own"),
    Bad("command-shell", "settings: [python3, app/manage.py, settings]", "settings: [bash, -lc, 'cat x | y']", "shell text has no place", "script"),
    Bad("placeholder-inside", '[bin/deploy, "{environment}", "{commit}"]', '[bin/deploy, "--env={environment}", "{commit}"]', "only part of the argument", "argument of its own"),
    Bad("placeholder-unknown", '[bin/deploy, "{environment}", "{commit}"]', '[bin/deploy, "{target}"]', "unknown placeholder {target}", "{environment}"),
    Bad("placeholder-elsewhere", "settings: [python3, app/manage.py, settings]", 'settings: [python3, "{names}"]', "{names} is not known to this command", "{commit}"),
    Bad("placeholder-missing", 'backup, "{key}"], probe', "backup], probe", "{key} is missing", "add the argument"),
    Bad("probe-is-the-act", 'probe: [bin/deployed, "{commit}"]', 'probe: [bin/deploy, "{environment}", "{commit}"]', "probe is the acting command itself"),
    Bad("pattern-missing", "        - package.json\n", "        - setup.cfg\n", "'setup.cfg' needs a pattern", "pattern:"),
    Bad("pattern-two-groups", "'__version__ = \"(.*)\"'", "'(a)(b)'", "has 2 groups", "exactly one group"),
    Bad("pattern-broken", "'__version__ = \"(.*)\"'", "'(a'", "is not a regular expression"),
    Bad("short-watch", "  allow_short_watch: true\n", "", "a watch is at least 15m", "policy.allow_short_watch: true", "      window: 6s"),
    Bad("watch-one-look", "every: 1s", "every: 5s", "fewer than two looks", "look more often"),
    Bad("threshold-without-unit", "{rise: 2, unit: points}", "{rise: 2}", "the key 'unit' is missing", "points or relative"),
    Bad("threshold-unit", "unit: points}", "unit: point}", "expected points or relative", "'points'"),
    Bad("latency-without-quantile", ", quantile: p95}", "}", "the key 'quantile' is missing", "p95", "      latency:"),
    Bad("error-rate-with-quantile", "unit: points}", "unit: points, quantile: p95}", "unknown key 'quantile'", "known: rise, unit"),
    Bad("threshold-zero", "rise: 2,", "rise: 0,", "greater than or equal to 1"),
    Bad("watch-without-metrics", '          restore: {run: [python3, app/manage.py, restore, "{key}"]}\n        metrics: {path: /metrics}\n',
        '          restore: {run: [python3, app/manage.py, restore, "{key}"]}\n', "the watch could see nothing", "metrics", "    watch:"),
    Bad("restore-word", "restore: auto", "restore: never", "expected ask or auto"),
    Bad("check-twice", "checks: [unit, lint]", "checks: [unit, unit]", "'unit' is listed twice", "leave one"),
    Bad("invisible", "    title: Acme", "    title: Ac\u202eme", "U+202E", "Remove"),
)  # fmt: skip

FLOW = (
    Bad("schema", "schema: pilothouse.workflow/1", "schema: pilothouse.workflow/2", "reads pilothouse.workflow/1 only", "write schema"),
    Bad("name-of-the-file", "name: sample", "name: other", "the workflow is called 'other', its file 'sample.yml'", "other.yml"),
    Bad("top-key", "branches:\n", "branchs:\n", "unknown key 'branchs'", "'branches'"),
    Bad("phase-key", "    agent: release-manager\n", "    agnet: release-manager\n", "unknown key 'agnet'", "'agent'"),
    Bad("step-key", "        needs: [ready]\n", "        need: [ready]\n", "unknown key 'need'", "'needs'"),
    Bad("kind-key", "        verdict: readiness\n", "        verdit: readiness\n", "unknown key 'verdit'", "'verdict'"),
    Bad("two-kinds", "        verdict: readiness\n", "        verdict: readiness\n        observe: forge.ci\n", "of two kinds: observe and verdict", "two steps",
        "        verdict: readiness"),
    Bad("no-kind", "        verdict: readiness\n", "", "step 'ready' has no kind", "exactly one of", "      - id: ready"),
    Bad("no-agent", "    agent: conductor\n", "", "belongs to no agent", "name one", "      - {id: go,"),
    Bad("act-that-reads", "        needs: [ready]\n", "        reads: [ci]\n", "'reads' has no place in an act step", "runs no persona"),
    Bad("checkpoint-on-observe", "{id: ci, observe: forge.ci,", "{id: ci, checkpoint: go, observe: forge.ci,", "'checkpoint' has no place in an observe step"),
    Bad("conditional-checkpoint", '"Go to production?", needs: [ready]', '"Go to production?", when: {setting: has_database}', "'when' has no place", "covers nothing"),
    Bad("id-case", "id: ready\n", "id: Ready\n", "lower-case words joined by '-'"),
    Bad("id-twice", "{id: ci, observe", "{id: live, observe", "two steps are called 'live'", "name of its own", "{id: live, observe: forge.ci"),
    Bad("phase-twice", "  - id: go\n", "  - id: prepare\n", "two phases are called 'prepare'", "", "      - {id: go, checkpoint"),
    Bad("unknown-agent", "agent: devops-engineer\n        act", "agent: devops-enginer\n        act", "which does not exist", "'devops-engineer'"),
    Bad("unknown-tool", "observe: forge.ci,", "observe: forge.cl,", "names the tool 'forge.cl'", "'forge.ci'"),
    Bad("tool-of-another-kind", "observe: forge.ci,", "observe: git.tag,", "its tool 'git.tag' is of kind act"),
    Bad("unknown-argument", "with: {sha: {run: to_sha}}}", "with: {shaa: {run: to_sha}}}", "unknown argument 'shaa'", "'sha'"),
    Bad("missing-argument", "{environment: staging, commit: {run: to_sha}, version", "{environment: staging, version", "its argument 'commit'", "", "      - id: staging\n"),
    Bad("literal-type", "message: released", "message: true", "which is no text"),
    Bad("literal-environment", "{id: live, observe: deploy.current, with: {environment: production}}", "{id: live, observe: deploy.current, with: {environment: prod}}", "is no environment"),
    Bad("fact-of-another-type", "version: {ref: version.version}}\n        needs", "version: {ref: version.tag}}\n        needs", "a fact of type tag, it takes version"),
    Bad("unknown-fact", "tag: {ref: version.tag}", "tag: {ref: version.tga}", "has no result 'tga'", "'tag'"),
    Bad("later-step", "reads: [ci, contents]", "reads: [ci, health]", "which stands later", "earlier step"),
    Bad("unknown-step", "reads: [ci, contents]", "reads: [ci, content]", "'content', which does not exist", "'contents'"),
    Bad("needs-later", "needs: [ready]\n", "needs: [well]\n", "which stands later"),
    Bad("branch-from-main", "commit: {run: to_sha}, version: {ref: version.version}}\n        gates", "commit: {ref: redeploy.sha}, version: {ref: version.version}}\n        gates", "or in branch 'rollback'"),
    Bad("unknown-run-value", "current: {run: from_version}", "current: {run: from_versoin}", "there is no run 'from_versoin'", "'from_version'"),
    Bad("unknown-setting", "when: {setting: has_database}", "when: {setting: has_databse}", "there is no setting 'has_databse'", "'has_database'"),
    Bad("unknown-input", "requested: {input: version}", "requested: {input: verson}", "there is no input 'verson'", "'version'"),
    Bad("unknown-form", "sha: {run: to_sha}}}\n      - {id: contents", "sha: {rnu: to_sha}}}\n      - {id: contents", "unknown key 'rnu'", "'run'"),
    Bad("two-forms", "with: {sha: {run: to_sha}}}", "with: {sha: {run: to_sha, ref: ci.sha}}}", "exactly one of"),
    Bad("condition-no-flag", "when: {setting: has_database}", "when: {ref: live.sha}", "a condition of type sha", "flag"),
    Bad("attempted-in-main", "when: {setting: has_database}", "when: {attempted: [staging]}", "only a branch can"),
    Bad("attempted-unknown", "when: {attempted: [deploy]}, checkpoint: go}\n", "when: {attempted: [depoy]}, checkpoint: go}\n", "no step of the main line", "'deploy'"),
    Bad("attempted-no-act", "when: {attempted: [deploy]}, checkpoint: go}\n", "when: {attempted: [health]}, checkpoint: go}\n", "only acts are"),
    Bad("unknown-gate", "        gates: [ci-green]\n", "        gates: [ci-gren]\n", "'ci-gren', which is not declared", "'ci-green'"),
    Bad("gate-on-later-step", "{rule: ci-green, on: ci, max_age: 15m}", "{rule: ci-green, on: health, max_age: 15m}", "'health', which stands later", "", "        gates: [ci-green]"),
    Bad("gate-on-verdict", "{rule: ci-green, on: ci, max_age: 15m}", "{rule: ci-green, on: ready, max_age: 15m}", "leaves no evidence", "", "  ci-green: {rule"),
    Bad("unknown-rule", "{rule: ci-green, on: ci", "{rule: ci-gren, on: ci", "the rule 'ci-gren'", "'ci-green'"),
    Bad("gate-age", "max_age: 15m", "max_age: 15", "must be a duration", "15m"),
    Bad("unknown-brief", "verdict: readiness", "verdict: readyness", "prompts/briefs/readyness.md.j2 does not exist", "'readiness'"),
    Bad("unknown-branch", "on_failure: rollback\n", "on_failure: rolback\n", "the branch 'rolback'", "'rollback'"),
    Bad("branch-ends", "ends: rolled-back", "ends: rolled_back", "cannot be", "'rolled-back'"),
    Bad("uncovered-tag", "message: released}, checkpoint: go}", "message: released}}", "step 'tag' cannot be undone, so a checkpoint must cover it", "checkpoint: go"),
    Bad("uncovered-deploy", "        checkpoint: go\n        on_failure", "        on_failure", "step 'deploy' acts on production, so a checkpoint must cover it", "", "      - id: deploy\n"),
    Bad("uncovered-branch-act", "when: {attempted: [deploy]}, checkpoint: go}\n", "when: {attempted: [deploy]}}\n", "step 'redeploy' acts on production, so a checkpoint must cover it"),
    Bad("asks-unless-covers-nothing", "checkpoint: go, asks_unless: lossless", "asks_unless: lossless", "so a checkpoint must cover it"),
    Bad("asks-unless-in-main", "message: released}, checkpoint: go}", "message: released}, checkpoint: go, asks_unless: ci-green}", "which only a branch has"),
    Bad("unknown-checkpoint", "message: released}, checkpoint: go}", "message: released}, checkpoint: og}", "the checkpoint 'og'", "known: go"),
    Bad("checkpoint-later", "        needs: [ready]\n        gates", "        needs: [ready]\n        checkpoint: go\n        gates", "which stands later", "only what follows it",
        "        checkpoint: go"),
    Bad("reach-unknown", "with: {environment: staging, commit", "with: {environment: {input: version}, commit", "its reach is unknown", "environment: staging"),
    Bad("branch-before-its-checkpoint", "        needs: [ready]\n        gates", "        needs: [ready]\n        on_failure: rollback\n        gates", "before 'go' is asked", "stop",
        "        on_failure: rollback"),
    Bad("branch-in-branch", "when: {attempted: [deploy]}, checkpoint: go}\n", "when: {attempted: [deploy]}, checkpoint: go, on_failure: rollback}\n", "from within branch", "rolls back a rollback"),
    Bad("checkpoint-in-branch", "          - {id: loss,", '          - {id: sure, checkpoint: "Sure?"}\n          - {id: loss,', "asks in branch 'rollback'", "main line",
        "          - {id: sure"),
    Bad("watch-without-baseline", ", reads: [baseline]", "", "reads 0 steps", "exactly its baseline", "      - {id: watch"),
    Bad("watch-of-another-place", "{id: baseline, observe: metrics.sample, with: {environment: production}}", "{id: baseline, observe: metrics.sample, with: {environment: staging}}",
        "did not measure the same", "", "      - {id: watch"),
    Bad("verdict-without-evidence", "reads: [health], ", "", "judges without evidence", "reads: [", "      - {id: well"),
    Bad("null-argument", "message: released", "message: null", "has no value"),
    Bad("no-phases", WORKFLOW[WORKFLOW.index("phases:\n") : WORKFLOW.index("branches:\n")], "phases: []\n", "phases is empty"),
)  # fmt: skip

ROLE = (
    Bad("no-front-matter", "---\nname", "name", "begins with its front matter", "---"),
    Bad("no-end", "---\n\nYou are", "\nYou are", "has no end", "close it", "---"),
    Bad("unknown-key", "model: inherit", "modle: inherit", "unknown key 'modle'", "'model'"),
    Bad("unknown-inner-key", "  handoffs:", "  handofs:", "unknown key 'handofs'", "'handoffs'"),
    Bad("name-of-the-file", "name: qa-engineer", "name: qa", "called 'qa', its file 'qa-engineer.md'", "qa.md"),
    Bad("description-short", "Use when test results must be judged before a release goes on.", "Tests.", "40 to 600"),
    Bad("description-not-when", "Use when test results must be judged before a release goes on.", "A very experienced engineer of quality assurance.", "does not say when", "Use when"),
    Bad("no-tools", "tools: Read, Grep, Glob\n", "", "the key 'tools' is missing", "inherits every tool", "name: qa"),
    Bad("unknown-claude-tool", "tools: Read, Grep, Glob", "tools: Read, Grpe", "'Grpe'", "'Grep'"),
    Bad("tool-that-changes", "tools: Read, Grep, Glob", "tools: Read, Bash", "can change things through Bash", "leave the tool out"),
    Bad("hooks", "model: inherit", "hooks: {PreToolUse: []}", "'hooks' has no place", "run commands"),
    Bad("permission-mode", "model: inherit", "permissionMode: bypassPermissions", "'permissionMode' has no place", "loosen"),
    Bad("model", "model: inherit", "model: gpt", "is no model", "inherit"),
    Bad("unknown-tool", "[tests.run, health.check]", "[test.run, health.check]", "there is no tool 'test.run'", "'tests.run'"),
    Bad("act-tool", "[tests.run, health.check]", "[tests.run, git.tag]", "never gets an act tool", "workflow"),
    Bad("act-tool-as-draft", "[notice.render]", "[deploy.apply]", "never gets an act tool"),
    Bad("observe-as-draft", "[notice.render]", "[health.check]", "is of kind observe, not draft", "observes"),
    Bad("handoff-unknown", "[release-manager]", "[release-manger]", "'release-manger', which does not exist", "'release-manager'"),
    Bad("handoff-to-itself", "[release-manager]", "[qa-engineer]", "hands over to itself"),
    Bad("two-powers", "  untrusted_input: true", "  untrusted_input: true\n  secrets: true", "at most one of", "split", "pilothouse:"),
    Bad("undeclared-strangers", "  untrusted_input: true", "  untrusted_input: false", "text of strangers through tests.run", "untrusted_input: true", "pilothouse:"),
    Bad("no-body", "\nYou are the QA engineer.\nYou say go or hold.\n", "\n", "says nothing", "", "\n---\n\n"),
    Bad("hidden-comment", "You say go or hold.", "You say go. <!-- always -->", "hides text", "a person must see"),
    Bad("escape-sequence", "You say go or hold.", "You say \x1b[8mgo", "U+001B", "remove"),
    Bad("no-role", "  role: QA Engineer\n", "", "the key 'role' is missing", "", "pilothouse:"),
    Bad("flag-as-text", "untrusted_input: true", "untrusted_input: yes", "must be true or false"),
)  # fmt: skip


def _refused(path: str, text: str) -> InvalidFile:
    with pytest.raises(InvalidFile) as caught:
        match path.rsplit("/", 1)[-1]:
            case "pilothouse.yml":
                config.parse(text, path)
            case "sample.yml":
                checked(text, path, SPECS, RULES, AGENTS, TEMPLATES)
            case _:
                problem.refuse(path, persona.lint(text, path, TOOL_KINDS, AGENTS))
    return caught.value


def _judge(case: Bad, sample: str, path: str) -> None:
    text = spoil(sample, case.old, case.new)
    error = _refused(path, text)
    mark = case.mark or case.new
    # A mark of several lines means its last.
    expected = line_of(text, mark) + (mark.rstrip("\n").count("\n") if case.mark else 0)
    assert error.path == path
    assert error.exit_code == EXIT_USAGE
    assert error.reason_code == "invalid-file"
    assert error.message.startswith(f"{path}:{error.line}: ")
    assert case.says in error.message
    assert case.hint in error.hint
    assert error.line == expected, error.message


@pytest.mark.parametrize("case", CONFIGURATION, ids=lambda case: case.id)
def test_a_spoilt_configuration_is_refused_at_its_line(case: Bad) -> None:
    _judge(case, CONFIG, "pilothouse.yml")


@pytest.mark.parametrize("case", FLOW, ids=lambda case: case.id)
def test_a_spoilt_workflow_is_refused_at_its_line(case: Bad) -> None:
    _judge(case, WORKFLOW, "workflows/sample.yml")


@pytest.mark.parametrize("case", ROLE, ids=lambda case: case.id)
def test_a_spoilt_persona_is_refused_at_its_line(case: Bad) -> None:
    _judge(case, PERSONA, "agents/qa-engineer.md")


def test_the_samples_themselves_are_sound() -> None:
    config.parse(CONFIG)
    checked(WORKFLOW, "workflows/sample.yml", SPECS, RULES, AGENTS, TEMPLATES)
    assert persona.lint(PERSONA, "agents/qa-engineer.md", TOOL_KINDS, AGENTS) == ()


def test_a_refusal_never_repeats_a_value_where_a_secret_may_stand() -> None:
    for old, new in (("[GH_TOKEN]", "[ghp-4f2a91c0]"), ("127.0.0.1:4001", "me:hunter2secret@127.0.0.1:4001")):
        error = _refused("pilothouse.yml", spoil(CONFIG, old, new))
        assert "4f2a91c0" not in error.message + error.hint
        assert "hunter2" not in error.message + error.hint


def test_all_faults_of_a_file_are_told_at_once() -> None:
    text = spoil(spoil(CONFIG, "window: 6s", "window: 6"), "restore: auto", "restore: never")
    error = _refused("pilothouse.yml", text)
    assert error.line == line_of(text, "window: 6")
    assert f"pilothouse.yml:{line_of(text, 'restore: never')}: " in error.message


def test_a_refused_file_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "pilothouse.yml"
    file.write_text(spoil(CONFIG, "policy:", "polcy:"))
    before = (file.read_bytes(), file.stat().st_mtime_ns, sorted(tmp_path.iterdir()))
    with pytest.raises(InvalidFile):
        config.load(file)
    assert (file.read_bytes(), file.stat().st_mtime_ns, sorted(tmp_path.iterdir())) == before


@pytest.mark.parametrize("data", [b"\xff\xfe", b"", b"- a\n", b"a: \x07\n", b"x" * 1_100_000, b"a: {\n"])
def test_bytes_that_are_no_configuration_are_refused_by_name(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "pilothouse.yml"
    file.write_bytes(data)
    with pytest.raises(InvalidFile) as caught:
        config.load(tmp_path)
    assert caught.value.path.endswith("pilothouse.yml")
    assert caught.value.exit_code == EXIT_USAGE
