"""doctor tries out what the model endpoint can do, where one is configured; agents without it are scripted (INT-5)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cli.sample import pilothouse
from llm.model_server import KEY, ModelServer, Refuse
from llm.test_profiles import knowing
from pilothouse import doctor
from pilothouse.harbour import Variant


def section(server: ModelServer, **more: str) -> str:
    return "models:\n" + "".join(f"  {key}: {value}\n" for key, value in {"base_url": server.url, **more}.items())


def checks(world, key: str = KEY) -> list[doctor.Check]:
    environ = {**os.environ, **world.environment, "ANTHROPIC_API_KEY": key}
    return [check for check in doctor.examine(world.project, environ) if check.name == "models"]


def write(world, section: str) -> None:
    """Say it in the working tree alone."""
    path: Path = world.project / "pilothouse.yml"
    kept = path.read_text(encoding="utf-8").partition("models:\n")[0]
    path.write_text(kept + section, encoding="utf-8")


@pytest.fixture
def server():
    with ModelServer(knowing) as server:
        yield server


def test_what_the_endpoint_can_do_is_told_and_what_it_cannot_is_a_warning(harbour, server) -> None:
    world = harbour(variant=Variant(models=section(server)))
    (fine,) = checks(world)
    assert fine.level == "ok"
    assert fine.told.endswith("calls tools, strict tools, structured answers, prompt caching, effort, counts tokens")
    server.lacks = frozenset({"strict", "counting"})
    able, strict, counting = checks(world)
    assert (able.level, strict.level, counting.level) == ("ok", "warn", "warn")
    assert "no strict tools: " in strict.told
    assert "models.profile" in strict.hint
    assert "estimated" in counting.hint

    asked = len(server.asked)
    (keyless,) = checks(world, key="")
    assert (keyless.level, "ANTHROPIC_API_KEY is not set" in keyless.told) == ("warn", True)
    assert keyless.hint.endswith("agents are scripted until then")
    assert len(server.asked) == asked

    environ = {**os.environ, **world.environment, "ANTHROPIC_API_KEY": KEY}
    answer = pilothouse("doctor", "--json", cwd=world.project, env=environ)
    assert (answer.code, KEY in answer.out + answer.err) == (0, False)  # a warning stops nothing
    assert next(check["level"] for check in json.loads(answer.out)["checks"] if check["name"] == "models") == "ok"

    server.play = Refuse(404, "not_found_error", f"model: none such, says {KEY}")
    (dead,) = checks(world)
    assert (dead.level, "does not answer" in dead.told, KEY in dead.told) == ("warn", True, False)


def test_the_key_goes_where_the_base_branch_says_whatever_the_working_tree_does(harbour, server) -> None:
    world = harbour(variant=Variant(models=section(server, outage="wait")))
    with ModelServer(knowing) as elsewhere:
        write(world, section(elsewhere))
        differs, fine = checks(world)
        assert (differs.level, "count" in differs.told, fine.level) == ("warn", True, "ok")
        assert (len(elsewhere.asked), bool(server.asked)) == (0, True)
        server.close()
        differs, dead = checks(world)
        assert (dead.level, dead.hint) == ("warn", "runs wait until then")
    write(world, "")
    assert checks(world) == []


def test_what_the_base_branch_does_not_name_is_not_asked(harbour, server) -> None:
    world = harbour()
    assert checks(world) == []
    write(world, section(server))
    (found,) = checks(world)
    assert (found.level, "agents are scripted" in found.told) == ("warn", True)
    world.origin.rename(world.origin.with_name("gone"))
    (found,) = checks(world)
    assert (found.level, found.told[:11]) == ("warn", "not tried: ")
    world.origin.with_name("gone").rename(world.origin)
    assert server.asked == []
