"""The files with which the sample project is released: pilothouse.yml and, where wanted, approvals.yml."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from string import Template
from typing import Literal

from pilothouse.harbour import promotion
from pilothouse.harbour.changes import product
from pilothouse.harbour.ci import CONTEXT, JOBS
from pilothouse.harbour.world import BRANCHES, ENVIRONMENTS, Layout, Results

_APPROVALS = """\
version: 1
approvals:
"""
_APPROVAL = """\
  - {checkpoint: go, product: acme, workflow: ${workflow}, approver: ceo@acme.test, standing: true, expires: 2099-01-01}
"""
_APPROVED = ("release", "rollback")
_AUDITED = ("promote-audited",)

_PROJECT = """\
# How Acme is released. Made by `pilothouse harbour up`: the ports are this world's own.
version: 1
workflow: ${workflow}
products:
  acme:
    title: Acme
    path: .
    remote: origin
    base: main
    forge:
      kind: github
      repository: harbour/acme
      credentials: [GH_TOKEN]
      environment: [GH_CONFIG_DIR, GH_PROMPT_DISABLED, XDG_CACHE_HOME, XDG_STATE_HOME]
    versioning:
      scheme: semver
      tag_prefix: v
      changelog: CHANGELOG.md
      files: [package.json, pyproject.toml]
    readiness:
      checks: ${checks}
      allow_skipped: []
      blocker_labels: [critical, high]
      release_label: next-release
    suites:
      e2e: {run: [python3, -m, unittest, discover, -s, tests/e2e, -t, .], timeout: 5m}
      smoke:
        run: [python3, -m, unittest, discover, -s, tests/smoke, -t, .]
        timeout: 1m
        environment: PILOTHOUSE_TARGET
    not_verified: ["load above 50 requests a second"]
    environments:
${staging}${production}    drift: {ignore: [database, url, port]}
    watch:
      window: ${window}
      every: ${every}
      error_rate: {rise: 2, unit: points}
      latency: {rise: 250, unit: points, quantile: p95}
    rollback: {minutes: 2, restore: auto}
    finalise: {delete_branch: true}
${trail}    notify: [{channel: file, path: .pilothouse/notices.jsonl}]
approvers:
  - {id: ceo@acme.test, name: The CEO, email: ceo@acme.test, groups: [ceo], accounts: [${account}]}
policy:
  approval: {group: ceo, number: 1, four_eyes: record}
  checkpoint_expires: 3d
${approvals}  allow_short_watch: true
  unconfigured_suites: refuse
"""

_ENVIRONMENT = """\
      ${name}:
        url: ${url}
        credentials: [${credentials}]
        deploy: ${deploy}
        health:
          path: /health
          version: /version
          times: 3
          every: 200ms
          timeout: 2s
          deadline: 6s
          allow_private: true
        database:
          identity: acme-${name}
          pending: [python3, app/manage.py, pending]
          migrate:
            run: [python3, app/manage.py, migrate, "{names}"]
            probe: [python3, app/manage.py, migrate-status, "{names}"]
            timeout: 2m
          backup:
            run: [python3, app/manage.py, backup, "{key}"]
            probe: [python3, app/manage.py, backup-status, "{key}"]
            timeout: 2m
          restore:
            run: [python3, app/manage.py, restore, "{key}"]
            probe: [python3, app/manage.py, restore-status, "{key}"]
            timeout: 2m
        logs: {run: [python3, app/manage.py, logs], reject: ["ERROR", "Traceback"]}
        settings: [python3, app/manage.py, settings]
        metrics: {path: /metrics}
"""

_TRAIL = """\
    promotion: {branch: staging, deployment: production, timeout: 30s}
    audit:
      branch: compliance-archives
      archive: "archives/pr-{number}.md"
      areas:
        shop: ["app/**"]
        database: ["migrations/**"]
        tests: ["tests/**"]
        docs: ["*.md", "docs/**"]
        tooling: ["tools/**", "*.json", "*.toml", "*.yml"]
    tickets: {server: linear, pattern: "ACME-[0-9]{1,6}", credentials: [], timeout: 10s}
"""

_BY_PUSH = "{model: push, branch: ${branch}, timeout: 6s}"
_BY_COMMAND = """
          model: command
          run: [python3, ops/deploy.py, put, "{environment}", "{commit}", "{version}"]
          probe: [python3, ops/deploy.py, look, "{environment}", "{commit}", "{version}"]
          verify: [python3, ops/deploy.py, check, "{environment}", "{commit}", "{version}"]
          timeout: 30s"""
SCRIPT = "ops/deploy.py"


@dataclass(frozen=True, slots=True)
class Project:
    """What differs from world to world.

    Args:
        urls: the address of each environment.
        watch_seconds: length of the watch after a deployment.
        scripted_approval: whether approvals.yml opens the checkpoints without a person.
        deploy: the environments' deploy model; with `command` the project brings its own deploy script.
        models: a section ``models:`` of pilothouse.yml, as YAML.
        layout: whether main is released, or staging is promoted to it.
        ci: which kinds of results the forge has.
        recorded: whether a release writes records on the remote.
    """

    urls: dict[str, str]
    watch_seconds: float
    scripted_approval: bool
    deploy: Literal["push", "command"] = "push"
    models: str = ""
    layout: Layout = "release"
    ci: Results = "both"
    recorded: bool = False

    def files(self) -> dict[str, str]:
        """Path and text of each file."""
        audited = self.layout == "promotion"
        environments = {name: self._environment(name) for name in ENVIRONMENTS}
        text = Template(_PROJECT).substitute(
            **environments,
            workflow=_AUDITED[0] if audited else "release",
            checks=f"[{CONTEXT}]" if self.ci == "statuses" else f"[{', '.join(JOBS)}]",
            trail=_TRAIL if audited else "    audit: {}\n" if self.recorded else "",
            window=_duration(self.watch_seconds),
            every=_duration(min(1.0, self.watch_seconds / 4)),
            account=pwd.getpwuid(os.getuid()).pw_name,
            approvals="  scripted_approvals: approvals.yml\n" if self.scripted_approval else "",
        )
        files = {"pilothouse.yml": text + self.models}
        if self.scripted_approval:
            files["approvals.yml"] = _approvals(*_APPROVED, *(_AUDITED if audited else ()))
        if audited:
            files[".mcp.json"] = promotion.mcp_file()
        if self.deploy == "command":
            files[SCRIPT] = product()[SCRIPT]
        return files

    def _environment(self, name: str) -> str:
        variables = [f"ACME_{name.upper()}_DB"]
        if self.deploy == "command":
            variables.append(f"ACME_{name.upper()}_PLATFORM")
        branch = BRANCHES[self.layout][name]
        deploy = Template(_BY_PUSH).substitute(branch=branch) if self.deploy == "push" else _BY_COMMAND
        return Template(_ENVIRONMENT).substitute(
            name=name, url=self.urls[name], credentials=", ".join(variables), deploy=deploy
        )


def _approvals(*workflows: str) -> str:
    return _APPROVALS + "".join(Template(_APPROVAL).substitute(workflow=workflow) for workflow in workflows)


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms" if seconds % 1 else f"{int(seconds)}s"
