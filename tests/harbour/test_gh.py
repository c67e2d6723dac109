"""The real gh against the forge, and the forge against GitHub's own published schemas.

A session of gh commands is run once; every request and every answer of it (the forge writes them to forge.jsonl) is then
held against the GraphQL schema of npm's @octokit/graphql-schema and the OpenAPI description of npm's @octokit/openapi.
"""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    SelectionSetNode,
    build_schema,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    parse,
    specified_rules,
    validate,
)
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from harbour.eyes import Eyes
from pilothouse import harbour
from pilothouse.harbour.forge import language

if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
EMULATED = Path(language.__file__).with_name("schema.graphql")
REPOSITORY = ("-R", "harbour/acme")
PULL = (
    "number,title,body,author,labels,headRefName,baseRefName,headRefOid,mergeCommit,mergedAt,mergedBy,state,url,isDraft,"
    "reviews,commits,files,additions,deletions,changedFiles,statusCheckRollup,reviewDecision,mergeable,mergeStateStatus,"
    "assignees,milestone,latestReviews,reviewRequests,comments"
)


def packed(package: str, version: str, member: str) -> Path:
    """One file of an npm package, kept in .cache/; where npm cannot be reached, the test fails."""
    file = CACHE / f"{package.replace('/', '-').removeprefix('@')}-{version}" / Path(member).name
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        pack = ["npm", "pack", "--silent", f"{package}@{version}"]
        name = subprocess.run(
            pack, cwd=file.parent, check=True, capture_output=True, text=True, timeout=300
        ).stdout.strip()
        with tarfile.open(file.parent / name) as archive:
            stream = archive.extractfile(f"package/{member}")
            assert stream
            fresh = file.with_suffix(".new")
            fresh.write_bytes(stream.read())
        fresh.rename(file)
        (file.parent / name).unlink()
    return file


@pytest.fixture(scope="session")
def github() -> GraphQLSchema:
    """GitHub's GraphQL schema; it is published with a field that is defined twice, which a strict reading refuses."""
    file = packed("@octokit/graphql-schema", "15.26.1", "schema.graphql")
    return build_schema(file.read_text(encoding="utf-8"), assume_valid=True, assume_valid_sdl=True)


def nullable(part: Any) -> Any:
    """OpenAPI 3.0's `nullable` as JSON Schema says it."""
    if isinstance(part, list):
        return [nullable(item) for item in part]
    if not isinstance(part, dict):
        return part
    fresh = {name: nullable(value) for name, value in part.items() if name not in {"example", "examples"}}
    if fresh.pop("nullable", False) is True:
        return {"anyOf": [fresh, {"type": "null"}]}
    return fresh


@pytest.fixture(scope="session")
def openapi() -> dict[str, Any]:
    """GitHub's REST description."""
    file = packed("@octokit/openapi", "23.0.2", "generated/api.github.com.json")
    described = json.loads(file.read_text(encoding="utf-8"))
    return {"paths": described["paths"], "components": nullable(described["components"])}


@pytest.fixture(scope="module")
def talked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    folder = tmp_path_factory.mktemp("talked")
    world = harbour.up(folder)
    try:
        talk = Talk(Eyes(world))
        talk.all()
        yield talk
    finally:
        harbour.down(folder)


class Talk:
    """A session with gh, from looking around to the published release."""

    def __init__(self, eyes: Eyes) -> None:
        self.eyes, self.said = eyes, dict[str, Any]()
        self.notes = str(eyes.world.folder / "notes.md")
        Path(self.notes).write_text("What is new.\n", encoding="utf-8")

    def json(self, key: str, *arguments: str) -> Any:
        self.said[key] = self.eyes.gh_json(*arguments)
        return self.said[key]

    def all(self) -> None:
        self.look()
        self.sha = self.eyes.release()
        harbour.settle(self.eyes.world.folder)
        self.pull()
        self.issue()
        self.release()

    def look(self) -> None:
        main = self.eyes.remote("refs/heads/main")
        fields = "number,title,author,labels,headRefName,baseRefName,url,isDraft"
        self.json("open", "pr", "list", *REPOSITORY, "--state", "open", "--base", "main", "--json", fields)
        labelled = ("--base", "main", "--label", "next-release", "--json", fields)
        self.json("labelled", "pr", "list", *REPOSITORY, "--state", "open", *labelled)
        self.json(
            "merged", "pr", "list", *REPOSITORY, "--state", "merged", "--limit", "100", "--json", "number,mergeCommit"
        )
        for number in ("231", "236", "240"):
            self.json(number, "pr", "view", number, *REPOSITORY, "--json", PULL)
            self.json(f"rest-{number}", "api", f"repos/harbour/acme/pulls/{number}")
            self.json(f"reviews-{number}", "api", f"repos/harbour/acme/pulls/{number}/reviews")
        issues = ("--state", "open", "--json", "number,title,labels,url,body")
        self.json("critical", "issue", "list", *REPOSITORY, "--label", "critical", *issues)
        self.json("low", "issue", "list", *REPOSITORY, "--label", "low", *issues)
        self.json("all", "issue", "list", *REPOSITORY, "--state", "all", "--json", "number,state")
        self.json("found", "issue", "list", *REPOSITORY, "--search", "icon in:title", "--json", "number")
        for part in ("status", "statuses", "check-runs?per_page=100", "pulls"):
            self.json(part, "api", "--paginate", f"repos/harbour/acme/commits/{main}/{part}")
        for part in (
            "",
            "/pulls?state=all",
            "/issues?state=all",
            "/labels",
            "/deployments",
            "/releases",
            "/releases/latest",
        ):
            self.json(f"repo{part}", "api", f"repos/harbour/acme{part}")
        for part in ("deployments/1", "deployments/1/statuses", "commits/main", "git/ref/tags/v1.3.0", "issues/225"):
            self.json(part, "api", f"repos/harbour/acme/{part}")
        for part in ("actions/runs", "actions/runs/1/jobs", "actions/workflows", "actions/workflows/1", "check-runs/1"):
            self.json(part, "api", f"repos/harbour/acme/{part}")
        runs = "databaseId,status,conclusion,name,headSha,workflowName,headBranch,event"
        self.json("runs", "run", "list", *REPOSITORY, "--commit", main, "--json", runs)
        self.eyes.gh("run", "watch", *REPOSITORY, "1", "--exit-status")
        self.said["status-text"] = self.eyes.gh("auth", "status")
        self.json("repository", "repo", "view", "harbour/acme", "--json", "name,owner,defaultBranchRef,url")
        self.json("user", "api", "user")
        self.json("batch", "api", "graphql", "-f", f"query={self.batch(main)}")

    def batch(self, main: str) -> str:
        """What the conductor asks: a hundred lookups in one query."""
        shas = self.eyes.git("rev-list", "--first-parent", "-n", "50", main).split()
        merge = "mergeCommit{oid} headRefOid number title author{login} mergedAt labels(first:20){nodes{name}}"
        pulls = [f"p{number}:pullRequest(number:{number}){{{merge}}}" for number in (231, 232, 233, 234, 235, 236, 237)]
        associated = f"associatedPullRequests(first:10){{nodes{{{merge}}}}}"
        commits = [f'c{n}:object(oid:"{sha}"){{... on Commit{{oid {associated}}}}}' for n, sha in enumerate(shas)]
        return f'{{repository(owner:"harbour",name:"acme"){{{" ".join(pulls + commits)}}}}}'

    def pull(self) -> None:
        branch = "release/v1.4.0"
        new = ("--base", "main", "--head", branch, "--title", "Release 1.4.0", "--body-file", self.notes)
        self.said["created"] = self.eyes.gh("pr", "create", *REPOSITORY, *new, "--label", "next-release")
        self.said["again"] = self.eyes.run("gh", "pr", "create", *REPOSITORY, *new).stderr
        self.json("mine", "pr", "view", "241", *REPOSITORY, "--json", PULL)
        self.said["checks"] = self.eyes.gh("pr", "checks", "241", *REPOSITORY)
        self.eyes.gh("pr", "merge", "241", *REPOSITORY, "--merge", "--match-head-commit", self.sha)
        self.json("landed", "pr", "view", "241", *REPOSITORY, "--json", "state,mergeCommit,mergedBy,headRefOid")

    def issue(self) -> None:
        new = ("--title", "The search is slow", "--body-file", self.notes, "--label", "critical")
        self.said["issue"] = self.eyes.gh("issue", "create", *REPOSITORY, *new)
        self.json("critical-now", "issue", "list", *REPOSITORY, "--label", "critical", "--json", "number,title,labels")
        self.eyes.gh("issue", "comment", "242", *REPOSITORY, "--body-file", self.notes)
        self.eyes.gh("issue", "close", "242", *REPOSITORY)
        self.json("closed", "issue", "view", "242", *REPOSITORY, "--json", "state,comments,labels,title")

    def release(self) -> None:
        new = (
            "release",
            "create",
            "v1.4.0",
            *REPOSITORY,
            "--verify-tag",
            "--title",
            "Acme 1.4.0",
            "--notes-file",
            self.notes,
        )
        self.said["untagged"] = self.eyes.run("gh", *new).stderr
        self.eyes.git("tag", "-a", "-m", "Acme 1.4.0", "v1.4.0", self.sha)
        self.eyes.git("push", "-q", "origin", "refs/tags/v1.4.0")
        self.said["released"] = self.eyes.gh(*new)
        self.said["twice"] = self.eyes.run("gh", *new).stderr
        fields = "tagName,name,body,url,isDraft,targetCommitish"
        self.json("release", "release", "view", "v1.4.0", *REPOSITORY, "--json", fields)
        self.said["none"] = self.eyes.run("gh", "release", "view", "v9.9.9", *REPOSITORY).stderr
        self.json("releases", "release", "list", *REPOSITORY, "--json", "tagName,isLatest,isDraft")

    def log(self) -> list[dict[str, Any]]:
        lines = (self.eyes.world.folder / "forge.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


def test_open_pull_requests_are_listed_and_filtered_by_label(talked: Talk) -> None:
    assert [(pull["number"], pull["author"]["login"]) for pull in talked.said["open"]] == [(240, "noor")]
    assert talked.said["labelled"] == []


def test_a_squashed_pull_request_tells_its_reviewed_head_and_its_commit_on_main(talked: Talk) -> None:
    pull, eyes = talked.said["231"], talked.eyes
    assert pull["headRefOid"] == eyes.remote("refs/pull/231/head") == pull["commits"][0]["oid"]
    assert eyes.git("log", "-1", "--format=%s", pull["mergeCommit"]["oid"]) == "feat(search): faster search (#231)"
    assert [(review["author"]["login"], review["state"]) for review in pull["reviews"]] == [("ada", "APPROVED")]
    assert {file["path"] for file in pull["files"]} == {"CHANGELOG.md", "app/store.py"}


def test_every_commit_on_main_since_the_last_release_has_its_pull_request(talked: Talk) -> None:
    data = talked.said["batch"]["data"]["repository"]
    commits = [entry for name, entry in data.items() if name.startswith("c")]
    found = {entry["oid"]: [pull["number"] for pull in entry["associatedPullRequests"]["nodes"]] for entry in commits}
    since = talked.eyes.git("rev-list", "--first-parent", "v1.3.0..v1.4.0^").split()
    assert [found[sha] for sha in since] == [[237], [236], [235], [234], [233], [232], [231]]


def test_checks_and_status_of_main_are_there_after_up(talked: Talk) -> None:
    runs = talked.said["check-runs?per_page=100"]["check_runs"]
    assert {(run["name"], run["status"], run["conclusion"]) for run in runs} == {
        ("unit", "completed", "success"),
        ("lint", "completed", "success"),
    }
    assert next("Ran 12 tests" in run["output"]["summary"] for run in runs if run["name"] == "unit")
    assert talked.said["status"]["state"] == "success"
    assert [(run["name"], run["headBranch"]) for run in talked.said["runs"]] == [("ci", "main")]


def test_issues_are_listed_by_label_and_found_by_search(talked: Talk) -> None:
    assert (talked.said["critical"], [issue["number"] for issue in talked.said["low"]]) == ([], [229, 225])
    assert talked.said["found"] == [{"number": 225}]
    assert {(issue["number"], issue["state"]) for issue in talked.said["all"]} == {
        (219, "CLOSED"),
        (225, "OPEN"),
        (229, "OPEN"),
    }


def test_a_pull_request_is_created_once_checked_and_really_merged(talked: Talk) -> None:
    assert talked.said["created"].strip() == "https://github.com/harbour/acme/pull/241"
    assert "already exists" in talked.said["again"]
    assert [label["name"] for label in talked.said["mine"]["labels"]] == ["next-release"]
    assert all("\tpass\t" in line for line in talked.said["checks"].splitlines())
    landed, eyes = talked.said["landed"], talked.eyes
    assert (landed["state"], landed["mergedBy"]["login"], landed["headRefOid"]) == ("MERGED", "ceo", talked.sha)
    assert eyes.remote("refs/heads/main") == landed["mergeCommit"]["oid"]
    eyes.git("fetch", "-q")
    parents = eyes.git("rev-list", "--parents", "-n", "1", "origin/main").split()
    assert parents[2] == talked.sha


def test_an_issue_is_created_commented_and_closed(talked: Talk) -> None:
    assert talked.said["issue"].strip() == "https://github.com/harbour/acme/issues/242"
    assert [issue["number"] for issue in talked.said["critical-now"]] == [242]
    closed = talked.said["closed"]
    assert (closed["state"], [comment["body"] for comment in closed["comments"]]) == ("CLOSED", ["What is new.\n"])


def test_a_release_needs_its_tag_and_is_published_once(talked: Talk) -> None:
    assert "tag v1.4.0 doesn't exist" in talked.said["untagged"]
    assert talked.said["released"].strip() == "https://github.com/harbour/acme/releases/tag/v1.4.0"
    assert "already exists" in talked.said["twice"]
    assert (talked.said["release"]["body"], talked.said["release"]["isDraft"]) == ("What is new.\n", False)
    assert "release not found" in talked.said["none"]
    assert [entry["tagName"] for entry in talked.said["releases"] if entry["isLatest"]] == ["v1.4.0"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("api", "repos/harbour/acme/nothing"), "HTTP 404"),
        (("api", "repos/harbour/other"), "HTTP 404"),
        (("api", "-X", "DELETE", "repos/harbour/acme/issues/225"), "HTTP 404"),
        (("api", "graphql", "-f", 'query={repository(owner:"harbour",name:"acme"){foo}}'), "Field 'foo' doesn't exist"),
        (("api", "graphql", "-f", "query={viewer{...on Nobody{login}}}"), "No such type Nobody"),
        (("api", "graphql", "-f", "query={viewer{login}"), "Parse error"),
        (("api", "graphql", "-f", 'query={repository(owner:"a",name:"b"){id}}'), "Could not resolve to a Repository"),
        (("pr", "view", "999", *REPOSITORY, "--json", "title"), "Could not resolve to a PullRequest"),
        (("issue", "list", *REPOSITORY, "--search", "involves:ceo", "--json", "number"), "does not know involves"),
    ],
)
def test_what_the_forge_does_not_know_is_an_error(calm: Eyes, arguments: tuple[str, ...], words: str) -> None:
    done = calm.run("gh", *arguments)
    assert (done.returncode, words in done.stderr) == (1, True), done.stderr


def test_a_request_without_a_token_is_refused(calm: Eyes) -> None:
    sock = str(calm.world.gh_socket)
    done = calm.run("curl", "-s", "--unix-socket", sock, "http://api.github.com/user")
    assert json.loads(done.stdout)["message"] == "Bad credentials"


def test_one_bad_lookup_in_a_batch_leaves_the_others_answered(calm: Eyes) -> None:
    query = 'query={repository(owner:"harbour",name:"acme"){a:pullRequest(number:1){title} b:pullRequest(number:231){title}}}'
    done = calm.run("gh", "api", "graphql", "-f", query)
    answer = json.loads(done.stdout)
    assert answer["data"]["repository"] == {"a": None, "b": {"title": "feat(search): faster search"}}
    assert (answer["errors"][0]["type"], answer["errors"][0]["path"]) == ("NOT_FOUND", ["repository", "a"])


def test_the_emulated_schema_is_a_part_of_githubs(github: GraphQLSchema) -> None:
    for ours in language.read_schema(EMULATED.read_text(encoding="utf-8")).values():
        theirs = github.type_map[ours.name]
        match theirs:
            case GraphQLObjectType() | GraphQLInterfaceType():
                assert set(ours.interfaces) <= {interface.name for interface in theirs.interfaces}
                for name, field in ours.fields.items():
                    assert str(field.type) == str(theirs.fields[name].type), f"{ours.name}.{name}"
                    for argument, declared in field.arguments.items():
                        assert str(declared.type) == str(theirs.fields[name].args[argument].type), f"{ours.name}.{name}"
            case GraphQLInputObjectType():
                assert {name: str(declared.type) for name, declared in ours.inputs.items()}.items() <= {
                    name: str(field.type) for name, field in theirs.fields.items()
                }.items()
            case GraphQLEnumType():
                assert set(ours.values) == set(theirs.values)
            case GraphQLUnionType():
                assert set(ours.members) <= {member.name for member in theirs.types}
            case _:
                raise AssertionError(ours.name)


def test_what_gh_asks_and_is_answered_fits_githubs_graphql_schema(talked: Talk, github: GraphQLSchema) -> None:
    seen = set()
    for entry in talked.log():
        if entry["target"] != "/graphql":
            continue
        document = parse(entry["body"]["query"])
        # gh's own queries break this rule, and GitHub does not apply it.
        errors = validate(
            github, document, [rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule]
        )
        assert not errors, f"{errors}\n{entry['body']['query']}"
        operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        seen.add(operation.name.value if operation.name else "")
        if (entry["reply"].get("data") or None) is not None:
            root = github.query_type if operation.operation.value == "query" else github.mutation_type
            assert root
            Shape(github, document).object(root, operation.selection_set, entry["reply"]["data"], "data")
    assert {
        "PullRequestList",
        "PullRequestByNumber",
        "PullRequestMerge",
        "IssueSearch",
        "RepositoryReleaseList",
    } <= seen


class Shape:
    """Holds an answer against the types that the schema promises."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self.schema = schema
        fragments = (node for node in document.definitions if isinstance(node, FragmentDefinitionNode))
        self.fragments = {node.name.value: node for node in fragments}

    def object(self, type_: Any, selections: SelectionSetNode, value: dict[str, Any], path: str) -> None:
        known = {alias: (owner, node) for alias, owner, node in self.fields(type_, selections)}
        assert value.keys() <= known.keys(), f"{path}: {value.keys() - known.keys()}"
        for alias, answered in value.items():
            owner, node = known[alias]
            if node.name.value == "__typename":
                assert answered in self.schema.type_map, f"{path}.{alias}"
            elif not node.name.value.startswith("__"):
                self.value(owner.fields[node.name.value].type, node.selection_set, answered, f"{path}.{alias}")

    def fields(self, type_: Any, selections: SelectionSetNode) -> Iterator[tuple[str, Any, FieldNode]]:
        """Every selected field with the type on which it was selected."""
        for node in selections.selections:
            match node:
                case FieldNode():
                    yield (node.alias or node.name).value, type_, node
                case InlineFragmentNode(type_condition=None):
                    yield from self.fields(type_, node.selection_set)
                case InlineFragmentNode():
                    yield from self.fields(self.schema.type_map[node.type_condition.name.value], node.selection_set)
                case FragmentSpreadNode():
                    fragment = self.fragments[node.name.value]
                    condition = fragment.type_condition.name.value
                    yield from self.fields(self.schema.type_map[condition], fragment.selection_set)

    def value(self, type_: Any, selections: SelectionSetNode | None, value: Any, path: str) -> None:
        if is_non_null_type(type_):
            assert value is not None, f"{path} must not be null"
            type_ = type_.of_type
        if value is None:
            return
        if is_list_type(type_):
            assert isinstance(value, list), path
            for number, item in enumerate(value):
                self.value(type_.of_type, selections, item, f"{path}.{number}")
        elif is_leaf_type(type_):
            kinds = {"Int": int, "Boolean": bool, "String": str, "ID": str}
            assert isinstance(value, kinds.get(get_named_type(type_).name, object)), path
            if isinstance(type_, GraphQLEnumType):
                assert value in type_.values, f"{path}: {value}"
        else:
            assert selections, path
            self.object(type_, selections, value, path)


def fits(template: str, path: str, ref: str) -> bool:
    """Whether an address is of a template; `ref` is what a {ref} in it may be."""
    pattern = re.sub(r"\\\{(\w+)\\\}", lambda name: ref if name[1] == "ref" else "[^/]+", re.escape(template))
    return re.fullmatch(pattern, path) is not None


def described(openapi: dict[str, Any], method: str, target: str, status: int) -> tuple[str, Any] | None:
    """The template and the schema that GitHub publishes for an answer."""
    path = target.partition("?")[0]
    for ref in ("[^/]+", ".+"):  # a {ref} may hold slashes, but only where nothing more exact fits
        for template, methods in openapi["paths"].items():
            if method.lower() in methods and fits(template, path, ref):
                reply = methods[method.lower()]["responses"][str(status)]
                if "$ref" in reply:
                    reply = openapi["components"]["responses"][reply["$ref"].rpartition("/")[2]]
                return template, nullable(reply["content"]["application/json"]["schema"])
    return None


def test_what_gh_is_answered_over_rest_fits_githubs_openapi_description(talked: Talk, openapi: dict[str, Any]) -> None:
    resource = Resource(contents=openapi, specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource("urn:github", resource)
    seen = set()
    for entry in talked.log():
        if entry["target"] == "/graphql" or entry["status"] >= 400:
            continue
        found = described(openapi, entry["method"], entry["target"], entry["status"])
        assert found, f"GitHub has no {entry['method']} {entry['target']}"
        template, schema = found
        text = json.dumps(schema).replace('"#/components/', '"urn:github#/components/')
        errors = sorted(Draft202012Validator(json.loads(text), registry=registry).iter_errors(entry["reply"]), key=str)
        assert not errors, f"{entry['target']}: {errors[0].json_path}: {errors[0].message[:300]}"
        seen.add(template.rpartition("{repo}")[2])
    assert {"/pulls/{pull_number}", "/releases", "/commits/{ref}/check-runs", "/actions/runs", "/deployments"} <= seen
