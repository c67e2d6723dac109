"""One sound file of each kind, and a way to spoil a place of it."""

from __future__ import annotations

CONFIG = """\
version: 1
workflow: release
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
      environment: [GH_CONFIG_DIR, GH_HOST]
    versioning:
      scheme: semver
      tag_prefix: v
      changelog: CHANGELOG.md
      files:
        - package.json
        - {path: app/version.py, pattern: '__version__ = "(.*)"'}
    readiness:
      checks: [unit, lint]
      allow_skipped: []
      blocker_labels: [critical, high]
      release_label: next-release
    suites:
      e2e: {run: [python3, -m, unittest, tests.e2e], timeout: 5m}
      smoke: {run: [python3, -m, unittest, tests.smoke], timeout: 1m, environment: PILOTHOUSE_TARGET}
    not_verified: ["load above 50 requests a second"]
    environments:
      staging:
        url: http://127.0.0.1:4001
        credentials: [ACME_STAGING_DB]
        deploy: {model: push, branch: deploy/staging, timeout: 20s}
        health: {path: /health, version: /version, times: 3, every: 200ms, timeout: 2s, deadline: 20s, allow_private: true}
        database:
          identity: acme-staging
          pending: [python3, app/manage.py, pending]
          migrate: {run: [python3, app/manage.py, migrate, "{names}"], probe: [python3, app/manage.py, status, "{names}"], timeout: 2m}
          backup: {run: [python3, app/manage.py, backup, "{key}"], probe: [python3, app/manage.py, backup-status, "{key}"]}
          restore: {run: [python3, app/manage.py, restore, "{key}"], probe: [python3, app/manage.py, restore-status, "{key}"]}
        logs: {run: [python3, app/manage.py, logs], reject: ["ERROR", "Traceback"]}
        settings: [python3, app/manage.py, settings]
        metrics: {path: /metrics}
      production:
        url: http://127.0.0.1:4002
        credentials: [ACME_PRODUCTION_DB]
        deploy: {model: command, run: [bin/deploy, "{environment}", "{commit}"], probe: [bin/deployed, "{commit}"], timeout: 5m}
        health: {path: /health, version: /version}
        database:
          identity: acme-production
          pending: [python3, app/manage.py, pending]
          migrate: {run: [python3, app/manage.py, migrate, "{names}"]}
          backup: {run: [python3, app/manage.py, backup, "{key}"]}
          restore: {run: [python3, app/manage.py, restore, "{key}"]}
        metrics: {path: /metrics}
    drift: {ignore: [database, url, port]}
    watch:
      window: 6s
      every: 1s
      error_rate: {rise: 2, unit: points}
      latency: {rise: 300, unit: relative, quantile: p95}
    rollback: {minutes: 2, restore: auto}
    finalise: {delete_branch: true}
    notify: [{channel: console}, {channel: file, path: .pilothouse/notices.jsonl}]
policy:
  checkpoint_expires: 3d
  scripted_approvals: approvals.yml
  allow_short_watch: true
  unconfigured_suites: refuse
"""

WORKFLOW = """\
schema: pilothouse.workflow/1
name: sample
title: Sample
summary: A small release
inputs:
  version: {type: text, default: "", about: "X.Y.Z"}
gates:
  ci-green: {rule: ci-green, on: ci, max_age: 15m}
  healthy: {rule: healthy, on: health}
  lossless: {rule: restore-lossless, on: loss}
phases:
  - id: prepare
    title: Prepare
    agent: release-manager
    steps:
      - {id: live, observe: deploy.current, with: {environment: production}}
      - {id: ci, observe: forge.ci, with: {sha: {run: to_sha}}}
      - {id: contents, observe: git.contents, with: {from: {run: from_sha}, to: {run: to_sha}}}
      - id: version
        observe: version.decide
        with: {sha: {run: to_sha}, current: {run: from_version}, requested: {input: version}, contents: {ref: contents}}
      - id: ready
        verdict: readiness
        reads: [ci, contents]
        gates: [ci-green]
      - id: staging
        agent: devops-engineer
        act: deploy.apply
        with: {environment: staging, commit: {run: to_sha}, version: {ref: version.version}}
        needs: [ready]
        gates: [ci-green]
  - id: go
    agent: conductor
    steps:
      - {id: go, checkpoint: "Go to production?", needs: [ready]}
  - id: production
    agent: devops-engineer
    steps:
      - {id: baseline, observe: metrics.sample, with: {environment: production}}
      - {id: backup, act: backup.create, with: {environment: production, sha: {run: to_sha}}, when: {setting: has_database}, checkpoint: go}
      - id: deploy
        act: deploy.apply
        with: {environment: production, commit: {run: to_sha}, version: {ref: version.version}}
        gates: [ci-green]
        checkpoint: go
        on_failure: rollback
      - {id: health, observe: health.check, with: {environment: production, version: {ref: version.version}}, on_failure: rollback}
      - {id: well, verdict: production, reads: [health], gates: [healthy], on_failure: rollback}
      - {id: watch, watch: metrics.sample, with: {environment: production}, reads: [baseline], on_failure: rollback}
      - {id: tag, act: git.tag, with: {tag: {ref: version.tag}, commit: {run: to_sha}, message: released}, checkpoint: go}
branches:
  rollback:
    title: Rollback
    ends: rolled-back
    phases:
      - id: back
        agent: devops-engineer
        steps:
          - {id: redeploy, act: deploy.apply, with: {environment: production, commit: {ref: live.sha}, version: {ref: live.version}}, when: {attempted: [deploy]}, checkpoint: go}
          - {id: loss, observe: backup.compare, with: {environment: production, sha: {run: to_sha}, backup: {ref: backup.key}}, when: {attempted: [deploy]}}
          - {id: restore, act: backup.restore, with: {environment: production, sha: {run: to_sha}, backup: {ref: backup.key}}, when: {attempted: [deploy]}, checkpoint: go, asks_unless: lossless}
"""

PERSONA = """\
---
name: qa-engineer
description: Use when test results must be judged before a release goes on.
tools: Read, Grep, Glob
model: inherit
pilothouse:
  role: QA Engineer
  observes: [tests.run, health.check]
  drafts: [notice.render]
  handoffs: [release-manager]
  untrusted_input: true
---

You are the QA engineer.
You say go or hold.
"""


def spoil(text: str, old: str, new: str) -> str:
    """The text with the first ``old`` replaced; it must be there, or the case tests nothing."""
    assert old in text, f"{old!r} is not in the sample"
    return text.replace(old, new, 1)


def line_of(text: str, mark: str) -> int:
    """The 1-based line of the first ``mark``."""
    assert mark in text, f"{mark!r} is not in the text"
    return text.count("\n", 0, text.index(mark)) + 1
