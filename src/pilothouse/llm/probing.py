"""What an endpoint can do, found out with a few small requests: for ``pilothouse doctor``.

That a field is accepted is what can be seen from here. Whether a server that accepts ``strict`` also keeps it is why
arguments and answers are validated in any case.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pilothouse.canonical import Json
from pilothouse.errors import ModelFailed
from pilothouse.llm.anthropic import AnthropicModel
from pilothouse.llm.profiles import Profile, profile_of
from pilothouse.ports import Answer, Ask
from pilothouse.settings import Models

_BARE = Profile(
    name="bare", strict=False, output_format=False, cache=False, rolling_cache=False, effort=False, thinking=True
)
_SECONDS = 60.0  # of one probe: a local server may have to load its model first
_TOKENS = 256
_WORD: dict[str, Json] = {"type": "string", "enum": ["ready"]}
_SCHEMA: dict[str, Json] = {
    "type": "object", "properties": {"word": _WORD}, "required": ["word"], "additionalProperties": False,
}  # fmt: skip
_TOOL: dict[str, Json] = {
    "name": "say_ready", "description": "Say that you are ready. Call it at once.", "input_schema": _SCHEMA,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether an endpoint can do a thing.

    Attributes:
        name: answers, tools, strict, output_format, cache, effort or counting.
        works: it was accepted, and what came back fits.
        reason: what was seen, one sentence.
        sent: the configuration sends it; where that and ``works`` differ, the profile is not the right one.
    """

    name: str
    works: bool
    reason: str
    sent: bool


def probe(models: Models, environ: Mapping[str, str], *, seconds: float = _SECONDS) -> tuple[Finding, ...]:
    """Try an endpoint. Costs at most seven requests of a few hundred tokens; one where nothing answers.

    Args:
        models: the configuration.
        environ: the conductor's environment.
        seconds: for each request.
    """
    return tuple(_findings(models, environ, seconds))


def _findings(models: Models, environ: Mapping[str, str], seconds: float) -> Iterator[Finding]:
    configured = profile_of(models)
    bare = replace(_BARE, keyless=configured.keyless, counting=True)
    hello: Json = {"role": "user", "content": "Answer with the one word: ready"}
    ask = Ask(models.model, ("You are being tried out.",), (), (hello,), None, _TOKENS)

    def tried(profile: Profile, ask: Ask) -> Answer | ModelFailed:
        model = AnthropicModel(models, environ, seconds=seconds, profile=profile)
        try:
            return model.answer(ask)
        except ModelFailed as failed:
            return failed
        finally:
            model.close()

    first = tried(bare, ask)
    yield _judged("answers", first, isinstance(first, Answer), sent=True)
    if isinstance(first, ModelFailed):
        return
    with_tools = replace(ask, tools=(_TOOL,))
    reply = tried(bare, with_tools)
    called = isinstance(reply, Answer) and any(isinstance(block, dict) and _is_call(block) for block in reply.content)
    yield _judged("tools", reply, called, sent=True, otherwise="it was accepted, but the tool was not called")
    strict = replace(ask, tools=({**_TOOL, "strict": True},))
    yield _accepted("strict", tried(replace(bare, strict=True), strict), sent=configured.strict)
    shaped = tried(replace(bare, output_format=True), replace(ask, answer=_SCHEMA))
    fits = isinstance(shaped, Answer) and _fits(shaped)
    yield _judged("output_format", shaped, fits, sent=configured.output_format,
                  otherwise="it was accepted, but the answer is not of the schema")  # fmt: skip
    yield _accepted("cache", tried(replace(bare, cache=True), with_tools), sent=configured.cache)
    yield _accepted("effort", tried(replace(bare, effort=True), replace(ask, effort="low")), sent=configured.effort)
    yield _counted(models, environ, bare, ask, seconds, sent=configured.counting)


def _counted(
    models: Models, environ: Mapping[str, str], profile: Profile, ask: Ask, seconds: float, *, sent: bool
) -> Finding:
    model = AnthropicModel(models, environ, seconds=seconds, profile=profile)
    try:
        number = model.count(ask)
    except ModelFailed as failed:
        return Finding("counting", works=False, reason=failed.message, sent=sent)
    finally:
        model.close()
    return Finding("counting", works=number > 0, reason=f"it counted {number} tokens", sent=sent)


def _accepted(name: str, reply: Answer | ModelFailed, *, sent: bool) -> Finding:
    return _judged(name, reply, isinstance(reply, Answer), sent=sent)


def _judged(name: str, reply: Answer | ModelFailed, works: bool, *, sent: bool, otherwise: str = "") -> Finding:  # noqa: FBT001
    if isinstance(reply, ModelFailed):
        return Finding(name, works=False, reason=reply.message, sent=sent)
    return Finding(name, works=works, reason=f"it was accepted ({reply.stop})" if works else otherwise, sent=sent)


def _is_call(block: dict[str, Json]) -> bool:
    return block.get("type") == "tool_use" and block.get("name") == _TOOL["name"]


def _fits(reply: Answer) -> bool:
    texts = [str(block["text"]) for block in reply.content if isinstance(block, dict) and block.get("type") == "text"]
    try:
        found = json.loads("".join(texts))
    except ValueError:
        return False
    return bool(found == {"word": "ready"})
