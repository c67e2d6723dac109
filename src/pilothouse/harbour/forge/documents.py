"""The forge's things as REST documents, with the fields that GitHub's OpenAPI description requires."""

from __future__ import annotations

import json
from typing import Any

from pilothouse.harbour.forge.objects import CREATED
from pilothouse.harbour.forge.origin import GitObject, Person
from pilothouse.harbour.forge.people import ACCOUNTS, API, NAME, OWNER, REPOSITORY, REPOSITORY_API, SITE, VIEWER, by_email
from pilothouse.harbour.forge.queries import Queries
from pilothouse.harbour.forge.store import Row

Document = dict[str, Any]
BAD = ("failure", "timed_out")
USER_LINKS = "events followers following gists organizations received_events repos starred subscriptions".split()
REPOSITORY_LINKS = (
    "archive assignees blobs branches collaborators comments commits compare contents contributors deployments"
    " downloads events forks git_commits git_refs git_tags hooks issue_comment issue_events issues keys labels"
    " languages merges milestones notifications pulls releases stargazers statuses subscribers subscription tags teams"
    " trees"
).split()
ROOT_LINKS = (
    "current_user current_user_authorizations_html authorizations code_search commit_search emails emojis events feeds"
    " followers following gists issue_search issues keys label_search notifications organization"
    " organization_repositories organization_teams public_gists rate_limit repository repository_search"
    " current_user_repositories starred starred_gists user user_organizations user_repositories user_search"
).split()
APP: Document = {
    "id": 1,
    "node_id": "A_1",
    "slug": "harbour-ci",
    "name": "Harbour CI",
    "description": None,
    "external_url": REPOSITORY,
    "html_url": f"{SITE}/apps/harbour-ci",
    "created_at": CREATED,
    "updated_at": CREATED,
    "permissions": {},
    "events": [],
}
WORKFLOW: Document = {
    "id": 1,
    "node_id": "W_1",
    "name": "ci",
    "path": ".github/workflows/ci.yml",
    "state": "active",
    "created_at": CREATED,
    "updated_at": CREATED,
    "url": f"{REPOSITORY_API}/actions/workflows/1",
    "html_url": f"{REPOSITORY}/actions",
    "badge_url": f"{REPOSITORY}/workflows/ci/badge.svg",
}


def root() -> Document:
    """What the API's first address answers."""
    return {f"{name}_url": f"{API}/{name}" for name in ROOT_LINKS}


def user(login: str) -> Document:
    """A user, a bot or the organization."""
    found = ACCOUNTS[login]
    url = f"{API}/users/{login}"
    return {
        "login": login,
        "id": found.number,
        "node_id": f"U_{found.number:05}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{found.number}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{SITE}/{login}",
        "type": found.kind,
        "site_admin": False,
        **{f"{name}_url": f"{url}/{name}" for name in USER_LINKS},
    }


def viewer() -> Document:
    """Whom the token stands for."""
    nothing = dict.fromkeys(("bio", "blog", "company", "email", "hireable", "location"))
    numbers = dict.fromkeys(("followers", "following", "public_gists", "public_repos"), 0)
    times = {"created_at": CREATED, "updated_at": CREATED}
    return user(VIEWER) | {"name": ACCOUNTS[VIEWER].name, "user_view_type": "public"} | nothing | numbers | times


def minimal_repository() -> Document:
    """The repository as other documents mention it."""
    return {
        "id": 1,
        "node_id": "R_1",
        "name": NAME,
        "full_name": f"{OWNER}/{NAME}",
        "private": True,
        "owner": user(OWNER),
        "html_url": REPOSITORY,
        "description": "A small shop",
        "fork": False,
        "url": REPOSITORY_API,
        **{f"{name}_url": f"{REPOSITORY_API}/{name}" for name in REPOSITORY_LINKS},
    }


def repository(open_issues: int) -> Document:
    """The repository itself."""
    switches = dict.fromkeys(("archived", "disabled", "has_projects", "has_wiki", "has_pages", "has_discussions"), False)
    numbers = dict.fromkeys(
        ("forks", "forks_count", "stargazers_count", "watchers", "watchers_count", "network_count", "subscribers_count"), 0
    )
    nothing = dict.fromkeys(("homepage", "language", "mirror_url", "license"))
    times = {"pushed_at": CREATED, "created_at": CREATED, "updated_at": CREATED}
    urls = {"clone_url": f"{REPOSITORY}.git", "git_url": f"git://github.com/{OWNER}/{NAME}.git", "svn_url": REPOSITORY}
    urls |= {"ssh_url": f"git@github.com:{OWNER}/{NAME}.git"}
    issues = {"has_issues": True, "open_issues": open_issues, "open_issues_count": open_issues}
    permissions = {"admin": True, "maintain": True, "push": True, "triage": True, "pull": True}
    more = {"default_branch": "main", "size": 1, "permissions": permissions}
    return minimal_repository() | switches | numbers | nothing | times | urls | issues | more


def label(row: Row) -> Document:
    """A label."""
    url = f"{REPOSITORY_API}/labels/{row['name']}"
    return {"id": 1, "node_id": f"LA_{row['name']}", "url": url, "default": False, **row}


class Documents:
    """Documents that need git or the database."""

    def __init__(self, queries: Queries) -> None:
        self._queries, self._store, self._results = queries, queries.store, queries.results

    def labels(self, row: Row) -> list[Document]:
        """The labels of an issue or a pull request."""
        names = json.loads(row["labels"])
        rows = (self._store.row("SELECT * FROM labels WHERE name = ?", name) for name in names)
        return [label(found) for found in rows if found]

    def _thread(self, row: Row, url: str) -> Document:
        kind = "pull" if row["kind"] == "pull" else "issues"
        comments = len(self._store.rows("SELECT id FROM comments WHERE thread = ?", row["number"]))
        return {
            "id": row["number"],
            "number": row["number"],
            "url": url,
            "html_url": f"{REPOSITORY}/{kind}/{row['number']}",
            "title": row["title"],
            "body": row["body"],
            "state": "open" if row["state"] == "OPEN" else "closed",
            "locked": False,
            "user": user(row["author"]),
            "labels": self.labels(row),
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "author_association": "MEMBER",
            "created_at": row["created"],
            "updated_at": row["updated"],
            "closed_at": row["closed"],
            "comments": comments,
            "comments_url": f"{REPOSITORY_API}/issues/{row['number']}/comments",
        }

    def issue(self, row: Row) -> Document:
        """An issue, or a pull request as an issue."""
        url = f"{REPOSITORY_API}/issues/{row['number']}"
        links = {"events_url": f"{url}/events", "labels_url": f"{url}/labels{{/name}}", "repository_url": REPOSITORY_API}
        more: Document = {"node_id": f"I_{row['number']}", "state_reason": "completed" if row["closed"] else None}
        if row["kind"] == "pull":
            pull = f"{REPOSITORY}/pull/{row['number']}"
            files = {"diff_url": f"{pull}.diff", "patch_url": f"{pull}.patch"}
            more["pull_request"] = {"url": url.replace("/issues/", "/pulls/"), "html_url": pull, **files}
        return self._thread(row, url) | links | more

    def pull_in_list(self, row: Row) -> Document:
        """A pull request as lists show it."""
        url, number = f"{REPOSITORY_API}/pulls/{row['number']}", row["number"]
        head = self._queries.head(row)
        issue = f"{REPOSITORY_API}/issues/{number}"
        statuses = f"{REPOSITORY_API}/statuses/{head}"
        links = {
            "self": url,
            "html": f"{REPOSITORY}/pull/{number}",
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{REPOSITORY_API}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": statuses,
        }
        return self._thread(row, url) | {
            "node_id": f"PR_{number}",
            "diff_url": f"{REPOSITORY}/pull/{number}.diff",
            "patch_url": f"{REPOSITORY}/pull/{number}.patch",
            "issue_url": issue,
            "commits_url": links["commits"],
            "review_comments_url": links["review_comments"],
            "review_comment_url": links["review_comment"],
            "statuses_url": statuses,
            "merged_at": row["merged"],
            "merge_commit_sha": row["merge_sha"] or None,
            "auto_merge": None,
            "draft": bool(row["draft"]),
            "requested_reviewers": [],
            "requested_teams": [],
            "head": self._side(row["head"], head),
            "base": self._side(row["base"], row["base_sha"]),
            "_links": {name: {"href": link} for name, link in links.items()},
        }

    def _side(self, branch: str, sha: str) -> Document:
        names = {"label": f"{OWNER}:{branch}", "ref": branch, "sha": sha}
        return names | {"user": user(OWNER), "repo": repository(0)}

    def pull(self, row: Row) -> Document:
        """A pull request by itself."""
        changes = self._queries.origin.changes(row["base_sha"], self._queries.head(row))
        opened = row["state"] == "OPEN"
        mergeable = self._queries.mergeable(row) == "MERGEABLE" if opened else None
        state = {True: "clean", False: "dirty", None: "unknown"}[mergeable]
        return self.pull_in_list(row) | {
            "merged": row["state"] == "MERGED",
            "merged_by": user(row["merged_by"]) if row["merged_by"] else None,
            "mergeable": mergeable,
            "mergeable_state": state,
            "rebaseable": False,
            "maintainer_can_modify": False,
            "commits": len(self._queries.commits(row)),
            "additions": sum(change.added for change in changes),
            "deletions": sum(change.deleted for change in changes),
            "changed_files": len(changes),
            "review_comments": 0,
        }

    def reviews(self, row: Row) -> list[Document]:
        """The reviews of a pull request, oldest first."""
        pull, page = f"{REPOSITORY_API}/pulls/{row['number']}", f"{REPOSITORY}/pull/{row['number']}"
        return [
            {
                "id": number,
                "node_id": f"PRR_{row['number']}_{number}",
                "user": user(review["login"]),
                "body": "",
                "state": review["state"],
                "html_url": f"{page}#pullrequestreview-{number}",
                "pull_request_url": pull,
                "author_association": "MEMBER",
                "submitted_at": review["at"],
                "commit_id": review["sha"],
                "_links": {"html": {"href": page}, "pull_request": {"href": pull}},
            }
            for number, review in enumerate(json.loads(row["reviews"]), 1)
        ]

    def commit(self, found: GitObject) -> Document:
        """A commit."""
        url = f"{REPOSITORY_API}/commits/{found.oid}"
        unsigned = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}
        tree = {"sha": found.tree, "url": f"{REPOSITORY_API}/git/trees/{found.tree}"}
        return {
            "url": url,
            "sha": found.oid,
            "node_id": f"G_{found.oid}",
            "html_url": f"{REPOSITORY}/commit/{found.oid}",
            "comments_url": f"{url}/comments",
            "commit": {
                "url": f"{REPOSITORY_API}/git/commits/{found.oid}",
                "author": _person(found.author),
                "committer": _person(found.committer),
                "message": found.message,
                "comment_count": 0,
                "tree": tree,
                "verification": unsigned,
            },
            "author": _account(found.author),
            "committer": _account(found.committer),
            "parents": [
                {"sha": oid, "url": f"{REPOSITORY_API}/commits/{oid}", "html_url": f"{REPOSITORY}/commit/{oid}"}
                for oid in found.parents
            ],
        }

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
            "app": APP,
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
            "head_commit": _simple(found),
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
            "target_url": REPOSITORY,
            "deployment_url": url,
            "repository_url": REPOSITORY_API,
            "created_at": row["created"],
            "updated_at": row["created"],
        }

    def release(self, row: Row) -> Document:
        """A release."""
        url = f"{REPOSITORY_API}/releases/{row['id']}"
        return {
            "url": url,
            "assets_url": f"{url}/assets",
            "upload_url": f"https://uploads.github.com/repos/{OWNER}/{NAME}/releases/{row['id']}/assets{{?name,label}}",
            "html_url": f"{REPOSITORY}/releases/tag/{row['tag']}",
            "tarball_url": f"{REPOSITORY_API}/tarball/{row['tag']}",
            "zipball_url": f"{REPOSITORY_API}/zipball/{row['tag']}",
            "id": row["id"],
            "node_id": f"RE_{row['id']}",
            "tag_name": row["tag"],
            "target_commitish": row["target"],
            "name": row["name"],
            "body": row["body"],
            "draft": bool(row["draft"]),
            "prerelease": bool(row["prerelease"]),
            "created_at": row["created"],
            "published_at": row["published"],
            "author": user(row["author"]),
            "assets": [],
        }


def _person(person: Person | None) -> Document | None:
    return {"name": person.name, "email": person.email, "date": person.date} if person else None


def _account(person: Person | None) -> Document | None:
    found = by_email(person.email) if person else None
    return user(found.login) if found else None


def _simple(found: GitObject) -> Document:
    author, committer = _person(found.author), _person(found.committer)
    when = committer["date"] if committer else CREATED
    people = {"author": author, "committer": committer}
    return {"id": found.oid, "tree_id": found.tree, "message": found.message, "timestamp": when, **people}
