"""What a promotion asks of the forge, and what the harbour's forge answers, against GitHub's own published schemas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from graphql import OperationDefinitionNode, build_schema, parse, validate
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from harbour.test_gh import Shape, described, nullable, packed
from pilothouse.harbour.forge.troubles import Trouble
from pilothouse_tools.door import Arguments
from pilothouse_tools.observe import contents, deployments, forge
from tools.conftest import Small
from tools.forgeworld import AT, ForgeWorld, review

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from graphql import GraphQLSchema


@pytest.fixture(scope="module")
def talked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeWorld]:
    """A forge of which everything was asked that a promotion asks."""
    folder: Path = tmp_path_factory.mktemp("talked-of-a-promotion")
    small = Small(folder)
    (folder / "forge").mkdir()
    world = ForgeWorld(folder / "forge", small.product)
    for name, parents in (("live", ()), ("head", ("live",)), ("next", ("live",))):
        world.commit(name, f"feat: {name} (#12)", *parents, path=f"{name}.txt")
    reviews = [review("lin", world.at["live"]) for _ in range(30)]
    world.pull(12, head_sha=world.at["head"], merge_sha=world.at["next"], reviews=reviews)
    world.pull(13, head_sha=world.at["head"], merge_sha="", merged=None, state="OPEN")
    world.publish(main="live", staging="next", next="next")
    world.store.put("required", branch="staging", source="protection", context="unit")
    world.store.put("required", branch="staging", source="rules", context="lint")
    for state in ("", "in_progress", "success"):
        sha = world.at["next"]
        values = {"environment": "production", "sha": sha, "ref": "main", "description": "", "created": AT}
        world.store.put("deployments", **values, state=state)
        _ask(world, "forge.deployment", sha=sha, environment="production", timeout=0)
    for trouble in ({}, {"kind": "behind"}):
        world.trouble(*([trouble] if trouble else []))
        _ask(world, "audit.contents", **{"from": world.at["live"], "to": world.at["next"]})
    for name in ("forge.pulls_into", "forge.required_checks"):
        _ask(world, name, branch="staging")
    yield world
    world.close()
    small.served.close()


def _ask(world: ForgeWorld, name: str, **arguments: Any) -> None:
    tools = {tool.spec.name: tool for tool in (*forge.TOOLS, *deployments.TOOLS, *contents.TOOLS)}
    tools[name].look(world.context(), Arguments(arguments))


def test_the_queries_of_contents_and_their_answers_fit_githubs_graphql_schema(talked: ForgeWorld) -> None:
    file = packed("@octokit/graphql-schema", "15.26.1", "schema.graphql")
    github: GraphQLSchema = build_schema(file.read_text(encoding="utf-8"), assume_valid=True, assume_valid_sdl=True)
    asked = [entry for entry in talked.asked() if entry["target"] == "/graphql"]
    fields = ("associatedPullRequests(first: 10)", "pullRequest(number: 12) { ...p }", 'reviews(first: 100, after: "')
    for field in fields:
        assert any(field in str(entry["body"]) for entry in asked), field
    for entry in asked:
        document = parse(entry["body"]["query"])
        assert not validate(github, document), entry["body"]["query"]
        operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
        assert github.query_type
        Shape(github, document).object(github.query_type, operation.selection_set, entry["reply"]["data"], "data")


def test_branches_rules_and_deployments_fit_githubs_openapi_description(talked: ForgeWorld) -> None:
    file = packed("@octokit/openapi", "23.0.2", "generated/api.github.com.json")
    whole = json.loads(file.read_text(encoding="utf-8"))
    openapi = {"paths": whole["paths"], "components": nullable(whole["components"])}
    registry: Registry[Any] = Registry().with_resource("urn:github", Resource(openapi, DRAFT202012))
    seen = set()
    for entry in talked.asked():
        if entry["target"] == "/graphql":
            continue
        found = described(openapi, entry["method"], entry["target"], entry["status"])
        assert found, entry["target"]
        template, schema = found
        text = json.dumps(schema).replace('"#/components/', '"urn:github#/components/')
        errors = sorted(Draft202012Validator(json.loads(text), registry=registry).iter_errors(entry["reply"]), key=str)
        assert not errors, f"{entry['target']}: {errors[0].json_path}: {errors[0].message[:300]}"
        seen.add(template.rpartition("{repo}")[2])
    assert seen == {
        "/branches/{branch}", "/rules/branches/{branch}", "/deployments", "/pulls",
        "/deployments/{deployment_id}/statuses",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "status", "header"),
    [
        ("secondary", 403, "Retry-After"), ("primary", 403, "X-RateLimit-Reset"), ("points", 200, "X-RateLimit-Reset"),
        ("gateway", 502, ""), ("timeout", 504, ""), ("denied", 401, ""),
    ],
)  # fmt: skip
def test_a_trouble_looks_as_github_documents_it(kind: str, status: int, header: str) -> None:
    reply = Trouble(kind, 30).instead()
    assert reply
    assert (reply.status, not header or header in reply.headers) == (status, True)
