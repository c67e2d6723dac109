"""What happened to a commit as REST documents: statuses, check runs, workflow runs, deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.harbour.forge.documents import WORKFLOW, Document, app, minimal_repository, simple_commit, user
from pilothouse.harbour.forge.people import OWNER, REPOSITORY, REPOSITORY_API, VIEWER

if TYPE_CHECKING:
    from pilothouse.harbour.forge.queries import Queries
    from pilothouse.harbour.forge.store import Row

BAD = ("failure", "timed_out")


class Reports:
    """Documents about results."""

    def __init__(self, queries: Queries) -> None:
        self._queries, self._results = queries, queries.results

    def status(self, row: Row) -> Document:
        """A commit status."""
        return {
            "url": f"{REPOSITORY_API}/statuses/{row['sha']}",
            "avatar_url": user(OWNER)["avatar_url"],
            "id": row["id"],
            "node_id": f"SC_{row['id']}",
            "state": row["state"],
            "description": row["description"],
            "target_url": f"{REPOSITORY}/commit/{row['sha']}/checks",
            "context": row["context"],
            "created_at": row["created"],
            "updated_at": row["created"],
        }

    def combined(self, sha: str) -> Document:
        """All statuses of a commit together."""
        rows = self._results.current(sha)
        return {
            "state": self._results.combined(sha),
            "sha": sha,
            "total_count": len(rows),
            "statuses": [self.status(row) for row in rows],
            "repository": minimal_repository(),
            "commit_url": f"{REPOSITORY_API}/commits/{sha}",
            "url": f"{REPOSITORY_API}/commits/{sha}/status",
        }

    def check(self, row: Row) -> Document:
        """A check run."""
        url, run = f"{REPOSITORY_API}/check-runs/{row['id']}", self._results.run(row["sha"])
        page = f"{REPOSITORY}/actions/runs/{run}/job/{row['id']}"
        output = {"title": row["name"], "summary": row["summary"], "text": None, "annotations_count": 0}
        return {
            "id": row["id"],
            "node_id": f"CR_{row['id']}",
            "head_sha": row["sha"],
            "name": row["name"],
            "external_id": "",
            "url": url,
            "html_url": page,
            "details_url": page,
            "status": row["status"],
            "conclusion": row["conclusion"],
            "started_at": row["started"],
            "completed_at": row["completed"],
            "check_suite": {"id": run},
            "output": output | {"annotations_url": f"{url}/annotations"},
            "app": app(),
            "pull_requests": [],
        }

    def run(self, sha: str) -> Document:
        """The one workflow run of a commit, made of its check runs."""
        checks, number = self._results.checks(sha), self._results.run(sha)
        url, found = f"{REPOSITORY_API}/actions/runs/{number}", self._queries.origin.commit(sha)
        waiting = [row for row in checks if row["status"] != "completed"]
        bad = any(row["conclusion"] in BAD for row in checks)
        started = checks[0]["started"]
        return {
            "id": number,
            "node_id": f"WFR_{number}",
            "name": "ci",
            "head_branch": checks[0]["branch"],
            "head_sha": sha,
            "path": WORKFLOW["path"],
            "run_number": number,
            "run_attempt": 1,
            "event": "push",
            "display_title": found.headline,
            "status": "in_progress" if waiting else "completed",
            "conclusion": None if waiting else "failure" if bad else "success",
            "workflow_id": WORKFLOW["id"],
            "workflow_url": WORKFLOW["url"],
            "url": url,
            "html_url": f"{REPOSITORY}/actions/runs/{number}",
            "created_at": started,
            "run_started_at": started,
            "updated_at": max(row["completed"] or row["started"] for row in checks),
            "head_commit": simple_commit(found),
            "head_repository": minimal_repository(),
            "repository": minimal_repository(),
            "check_suite_url": f"{REPOSITORY_API}/check-suites/{number}",
            "pull_requests": [],
            **{f"{name}_url": f"{url}/{name}" for name in ("jobs", "logs", "cancel", "rerun", "artifacts")},
        }

    def job(self, row: Row) -> Document:
        """A check run as a job of its workflow run."""
        run, number = self._results.run(row["sha"]), row["id"]
        nobody = {"runner_id": None, "runner_name": None, "runner_group_id": None, "runner_group_name": None}
        return nobody | {
            "id": number,
            "node_id": f"CR_{number}",
            "run_id": run,
            "run_url": f"{REPOSITORY_API}/actions/runs/{run}",
            "run_attempt": 1,
            "head_sha": row["sha"],
            "head_branch": row["branch"],
            "workflow_name": "ci",
            "name": row["name"],
            "url": f"{REPOSITORY_API}/actions/jobs/{number}",
            "html_url": f"{REPOSITORY}/actions/runs/{run}/job/{number}",
            "check_run_url": f"{REPOSITORY_API}/check-runs/{number}",
            "status": row["status"],
            "conclusion": row["conclusion"],
            "created_at": row["started"],
            "started_at": row["started"],
            "completed_at": row["completed"],
            "labels": [],
            "steps": [],
        }

    def deployment(self, row: Row) -> Document:
        """A deployment."""
        url = f"{REPOSITORY_API}/deployments/{row['id']}"
        return {
            "url": url,
            "id": row["id"],
            "node_id": f"DE_{row['id']}",
            "sha": row["sha"],
            "ref": row["ref"],
            "task": "deploy",
            "payload": {},
            "environment": row["environment"],
            "original_environment": row["environment"],
            "description": row["description"] or None,
            "creator": user(VIEWER),
            "created_at": row["created"],
            "updated_at": row["created"],
            "statuses_url": f"{url}/statuses",
            "repository_url": REPOSITORY_API,
            "production_environment": row["environment"] == "production",
        }

    def milestone(self, row: Row) -> Document:
        """A milestone, open or closed."""
        url = f"{REPOSITORY_API}/milestones/{row['number']}"
        return {
            "url": url,
            "html_url": f"{REPOSITORY}/milestone/{row['number']}",
            "labels_url": f"{url}/labels",
            "id": row["number"],
            "node_id": f"MI_{row['number']}",
            "number": row["number"],
            "title": row["title"],
            "description": None,
            "creator": user(VIEWER),
            "open_issues": 0,
            "closed_issues": 0,
            "state": row["state"],
            "created_at": row["created"],
            "updated_at": row["closed"] or row["created"],
            "due_on": None,
            "closed_at": row["closed"],
        }

    def deployment_status(self, row: Row) -> Document:
        """What a deployment came to."""
        url = f"{REPOSITORY_API}/deployments/{row['id']}"
        return {
            "url": f"{url}/statuses/1",
            "id": row["id"],
            "node_id": f"DES_{row['id']}",
            "state": row["state"],
            "creator": user(VIEWER),
            "description": row["description"],
            "environment": row["environment"],
            "target_url": f"{REPOSITORY}/deployments/{row['environment']}",
            "log_url": f"{REPOSITORY}/deployments/{row['environment']}/{row['id']}",
            "deployment_url": url,
            "repository_url": REPOSITORY_API,
            "created_at": row["created"],
            "updated_at": row["created"],
        }
