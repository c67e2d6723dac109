"""What an endpoint lacks is left out, and the conversation works all the same; ``doctor`` finds out what it can do."""

from __future__ import annotations

import json

import pytest

from llm.model_server import Asked, ModelServer, Refuse, Say, call, text, thought
from llm.scenarios import instance
from pilothouse.config.models import Models as Shape
from pilothouse.errors import ModelFailed
from pilothouse.llm.anthropic import AnthropicModel
from pilothouse.llm.probing import probe
from pilothouse.llm.profiles import PROFILES, Profile, profile_of
from pilothouse.ports import Ask
from pilothouse.settings import Models

FEATURES = {"strict", "output_format", "cache", "effort", "thinking", "counting"}
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["verdict"],
    "properties": {"verdict": {"type": "string", "enum": ["go", "hold"]}},
}  # fmt: skip
TOOL = {
    "name": "repo_read", "description": "Read a file.", "strict": True,
    "input_schema": {"type": "object", "properties": {}, "additionalProperties": False},
}  # fmt: skip
ASK = Ask("m", ("You are a careful engineer.",), (TOOL,), ({"role": "user", "content": "Go?"},), SCHEMA, 500, "high")


def lacking(profile: Profile) -> set[str]:
    return {feature for feature in FEATURES if not getattr(profile, feature)}


def knowing(asked: Asked):
    """Thinks and calls a tool, then answers by the schema that it was told in words or in the request."""
    if asked.turn == 0 and asked.tools:
        return Say((thought("Look."), call(asked.tools[0], instance(asked.body["tools"][0]["input_schema"]))))
    words = [block["text"] for block in asked.body.get("system", []) if "JSON Schema" in block["text"]]
    schema = asked.schema or (json.loads(words[0].split("\n", 1)[1]) if words else None)
    return Say((text(json.dumps(instance(schema, ("go", "ready"))) if schema else "ready"),))


def talk(model: AnthropicModel):
    first = model.answer(ASK)
    (called,) = (block for block in first.content if block["type"] == "tool_use")
    result = {"type": "tool_result", "tool_use_id": called["id"], "content": "fine"}
    more = ({"role": "assistant", "content": list(first.content)}, {"role": "user", "content": [result]})
    asked = Ask(ASK.model, ASK.system, ASK.tools, (*ASK.messages, *more), ASK.answer, ASK.max_tokens, ASK.effort)
    return model.answer(asked)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_leaves_out_what_its_endpoint_lacks(name):
    profile = PROFILES[name]
    assert profile.name == name
    with ModelServer(knowing, lacks=lacking(profile)) as server:
        model = AnthropicModel(server.models(profile=name), server.environ, seconds=10)
        assert json.loads(talk(model).content[-1]["text"]) == {"verdict": "go"}
        assert server.refused == []
        assert len({asked.prefix for asked in server.asked}) == 1
        if profile.counting:
            assert model.count(ASK) > 0
        else:
            with pytest.raises(ModelFailed, match="counts no tokens"):
                model.count(ASK)
            assert server.counted == []
        model.close()


@pytest.mark.parametrize("name", PROFILES)
def test_an_endpoint_that_lacks_something_is_not_understood_without_its_profile(name):
    with ModelServer(knowing, lacks=lacking(PROFILES[name])) as server:
        model = AnthropicModel(server.models(), server.environ, seconds=10)
        with pytest.raises(ModelFailed):
            talk(model)
            model.count(ASK)
        model.close()


def test_an_endpoint_without_a_key_needs_none():
    with ModelServer("lazy", key="none") as server:
        model = AnthropicModel(server.models(profile="ollama"), {}, seconds=10)
        assert model.answer(ASK).stop == "end_turn"
        model.close()


def test_every_profile_that_can_be_configured_is_known():
    configurable = Shape.model_json_schema()["properties"]["profile"]["anyOf"][0]["enum"]
    assert set(configurable) == set(PROFILES)


def test_the_clouds_differ_from_the_first_party_in_what_is_told_of_them():
    assert profile_of(Models()) == Profile()
    assert not profile_of(Models(provider="bedrock")).counting
    assert profile_of(Models(provider="vertex")).counting
    assert not any(profile_of(Models(provider=name)).rolling_cache for name in ("bedrock", "vertex", "foundry"))


def test_doctor_finds_that_an_endpoint_can_do_everything():
    with ModelServer(knowing) as server:
        found = probe(server.models(), server.environ, seconds=10)
        assert {finding.name: finding.works for finding in found} == dict.fromkeys(
            ["answers", "tools", "strict", "output_format", "cache", "effort", "counting"], True
        )
        assert all(finding.sent and finding.reason for finding in found)
        assert len(server.asked) + len(server.counted) == 7
        assert max(map(len, server.bodies)) < 1000
        assert server.refused == []


@pytest.mark.parametrize("feature", ["strict", "output_format", "cache", "effort", "counting"])
def test_doctor_finds_what_an_endpoint_cannot_do_and_why(feature):
    with ModelServer(knowing, lacks={feature}) as server:
        found = {finding.name: finding for finding in probe(server.models(), server.environ, seconds=10)}
        assert [name for name, finding in found.items() if not finding.works] == [feature]
        assert "answered 40" in found[feature].reason
        assert found[feature].sent


def test_doctor_tells_what_is_accepted_from_what_is_done():
    with ModelServer(Say((text("Of course!"),))) as server:
        found = {finding.name: finding for finding in probe(server.models(), server.environ, seconds=10)}
        assert (found["tools"].works, found["tools"].reason) == (False, "it was accepted, but the tool was not called")
        assert (found["output_format"].works, found["strict"].works) == (False, True)


def test_doctor_asks_no_further_where_nothing_answers():
    with ModelServer(Refuse(404, "not_found_error", "model: no such model")) as server:
        (found,) = probe(server.models(), server.environ, seconds=10)
        assert (found.name, found.works) == ("answers", False)
        assert "no such model" in found.reason
        assert len(server.asked) == 1
