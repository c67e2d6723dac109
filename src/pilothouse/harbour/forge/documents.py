"""The forge's things as REST documents, with the fields that GitHub's OpenAPI description requires."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pilothouse.harbour.forge.objects import CREATED
from pilothouse.harbour.forge.people import (
    ACCOUNTS,
    API,
    NAME,
    OWNER,
    REPOSITORY,
    REPOSITORY_API,
    SITE,
    VIEWER,
    by_email,
)

if TYPE_CHECKING:
    from pilothouse.harbour.forge.origin import GitObject, Person
    from pilothouse.harbour.forge.queries import Queries
    from pilothouse.harbour.forge.store import Row

Document = dict[str, Any]
USER_LINKS = [
    "events",
    "followers",
    "following",
    "gists",
    "organizations",
    "received_events",
    "repos",
    "starred",
    "subscriptions",
]
REPOSITORY_LINKS = [
    "archive",
    "assignees",
    "blobs",
    "branches",
    "collaborators",
    "comments",
    "commits",
    "compare",
    "contents",
    "contributors",
    "deployments",
    "downloads",
    "events",
    "forks",
    "git_commits",
    "git_refs",
    "git_tags",
    "hooks",
    "issue_comment",
    "issue_events",
    "issues",
    "keys",
    "labels",
    "languages",
    "merges",
    "milestones",
    "notifications",
    "pulls",
    "releases",
    "stargazers",
    "statuses",
    "subscribers",
    "subscription",
    "tags",
    "teams",
    "trees",
]
ROOT_LINKS = [
    "current_user",
    "current_user_authorizations_html",
    "authorizations",
    "code_search",
    "commit_search",
    "emails",
    "emojis",
    "events",
    "feeds",
    "followers",
    "following",
    "gists",
    "issue_search",
    "issues",
    "keys",
    "label_search",
    "notifications",
    "organization",
    "organization_repositories",
    "organization_teams",
    "public_gists",
    "rate_limit",
    "repository",
    "repository_search",
    "current_user_repositories",
    "starred",
    "starred_gists",
    "user",
    "user_organizations",
    "user_repositories",
    "user_search",
]
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


def app() -> Document:
    """What runs the checks."""
    return {
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
        "owner": user(OWNER),
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
    switches = dict.fromkeys(
        ("archived", "disabled", "has_projects", "has_wiki", "has_pages", "has_discussions", "has_downloads"), False
    )
    numbers = dict.fromkeys(
        (
            "forks",
            "forks_count",
            "stargazers_count",
            "watchers",
            "watchers_count",
            "network_count",
            "subscribers_count",
        ),
        0,
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
        self._queries, self._store = queries, queries.store

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
        links = {
            "events_url": f"{url}/events",
            "labels_url": f"{url}/labels{{/name}}",
            "repository_url": REPOSITORY_API,
        }
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

    def branch(self, name: str, head: GitObject) -> Document:
        """A branch, and which checks it requires, as everybody may read it who may read the repository."""
        url, contexts = f"{REPOSITORY_API}/branches/{name}", self._required(name, "protection")
        checks = {"enforcement_level": "non_admins" if contexts else "off", "contexts": contexts}
        required: list[Document] = [{"context": context, "app_id": None} for context in contexts]
        return {
            "name": name,
            "commit": self.commit(head),
            "_links": {"html": f"{REPOSITORY}/tree/{name}", "self": url},
            "protected": bool(contexts),
            "protection": {"enabled": bool(contexts), "required_status_checks": checks | {"checks": required}},
            "protection_url": f"{url}/protection",
        }

    def rules(self, name: str) -> list[Document]:
        """The rules of rulesets that hold for a branch."""
        contexts = self._required(name, "rules")
        parameters = {
            "required_status_checks": [{"context": context} for context in contexts],
            "strict_required_status_checks_policy": False,
        }
        source = {"ruleset_source_type": "Repository", "ruleset_source": f"{OWNER}/{NAME}", "ruleset_id": 1}
        return [{"type": "required_status_checks", "parameters": parameters, **source}] if contexts else []

    def _required(self, branch: str, source: str) -> list[str]:
        rows = self._store.rows(
            "SELECT context FROM required WHERE branch = ? AND source = ? ORDER BY context", branch, source
        )
        return [row["context"] for row in rows]

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


def simple_commit(found: GitObject) -> Document:
    """A commit as a workflow run mentions it."""
    author, committer = _person(found.author), _person(found.committer)
    when = committer["date"] if committer else CREATED
    people = {"author": author, "committer": committer}
    return {"id": found.oid, "tree_id": found.tree, "message": found.message, "timestamp": when, **people}
