"""The model port against a real server: what goes over the wire, and that nothing but a whole reply comes back."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.model_server import (
    KEY,
    Asked,
    Hang,
    ModelServer,
    Raw,
    Refuse,
    Say,
    broken_call,
    call,
    events,
    framed,
    text,
    thought,
)  # fmt: skip
from llm.scenarios import SCENARIOS, hostile
from pilothouse.canonical import canonical
from pilothouse.errors import EXIT_REFUSED, ModelFailed
from pilothouse.llm import assembly
from pilothouse.llm.anthropic import AnthropicModel
from pilothouse.llm.limits import Unfit
from pilothouse.ports import Ask, Usage


def tool(name="repo_read", **more):
    path = {"type": "string", "description": "A file of the repository."}
    schema = {"type": "object", "properties": {"path": path}, "required": ["path"], "additionalProperties": False}
    return {"name": name, "description": "Read a file.", "strict": True, "input_schema": schema, **more}


VERDICT = {
    "type": "object", "additionalProperties": False, "required": ["verdict", "reasons"],
    "properties": {"verdict": {"type": "string", "enum": ["hold", "go"]}, "reasons": {"type": "array", "items": {"type": "string"}}},
}  # fmt: skip
TOOLS = (tool(), tool("repo_grep"), tool("git_log"))
PERSONA = ("You are the release manager of a careful team. " * 40, "This is step 'review' of a release.")


def ask(**changes):
    asked = {
        "model": "claude-sonnet-5", "system": PERSONA, "tools": TOOLS, "answer": VERDICT, "max_tokens": 2000,
        "messages": ({"role": "user", "content": [{"type": "text", "text": "Go or hold?"}]},), "effort": "low",
    }  # fmt: skip
    return Ask(**{**asked, **changes})


OPEN = []


@pytest.fixture(autouse=True)
def close_models():
    yield
    while OPEN:
        OPEN.pop().close()


def opened(models, environ, **options):
    OPEN.append(AnthropicModel(models, environ, **{"seconds": 20, **options}))
    return OPEN[-1]


def model_of(server, **options):
    return opened(server.models(), server.environ, **options)


def answered(server, asked=None, **options):
    return model_of(server, **options).answer(asked or ask())


def refused(server, asked=None, **options):
    with pytest.raises(ModelFailed) as caught:
        answered(server, asked, **options)
    return caught.value


def conversation(model, first, most=10):
    """The smallest loop there is: every tool says the same."""
    asked, answers = first, []
    while len(answers) < most:
        answers.append(model.answer(asked))
        calls = [block for block in answers[-1].content if block["type"] == "tool_use"]
        if not calls:
            return answers, asked
        results = [{"type": "tool_result", "tool_use_id": block["id"], "content": "It is fine."} for block in calls]
        turn = ({"role": "assistant", "content": list(answers[-1].content)}, {"role": "user", "content": results})
        asked = ask(messages=(*asked.messages, *turn))
    return answers, asked


# What goes over the wire


def test_a_conversation_is_as_many_calls_as_turns_with_one_prefix_of_bytes():
    with ModelServer("helpful") as server:
        answers, _ = conversation(model_of(server), ask())
        assert [answer.stop for answer in answers] == ["tool_use", "tool_use", "end_turn"]
        assert json.loads(answers[-1].content[0]["text"]) == {"verdict": "go", "reasons": []}
        assert (len(server.asked), server.counted, server.refused) == (3, [], [])
        prefixes = {asked.prefix for asked in server.asked}
        assert len(prefixes) == 1
        assert b"release manager" in prefixes.pop()
        # So the cache hits: it is written once and read from then on.
        assert [(bool(a.usage.cache_write), bool(a.usage.cache_read)) for a in answers] == [
            (True, False), (False, True), (False, True),
        ]  # fmt: skip


def test_a_conversation_only_grows_at_its_end():
    with ModelServer("helpful") as server:
        conversation(model_of(server), ask())
        sent = [asked.body["messages"] for asked in server.asked]
        for before, after in itertools.pairwise(sent):
            assert after[: len(before)] == before


def test_what_the_endpoint_receives_is_what_was_asked():
    with ModelServer("lazy") as server:
        answered(server)
        (sent,) = server.asked
        assert sent.body == {
            "model": "claude-sonnet-5", "max_tokens": 2000, "stream": True, "messages": list(ask().messages),
            "tools": list(TOOLS), "cache_control": {"type": "ephemeral"},
            "system": [
                {"type": "text", "text": PERSONA[0]},
                {"type": "text", "text": PERSONA[1], "cache_control": {"type": "ephemeral"}},
            ],
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": VERDICT}},
        }  # fmt: skip
        assert sent.headers["authorization"] == f"Bearer {KEY}"
        assert KEY not in sent.said


def test_a_request_is_as_small_as_that_of_a_bare_loop():
    with ModelServer("helpful") as server:
        _, last = conversation(model_of(server), ask())
        with anthropic.Anthropic(api_key=KEY, base_url=server.url) as bare:
            config = {"effort": "low", "format": {"type": "json_schema", "schema": VERDICT}}
            with bare.messages.stream(
                model=last.model, max_tokens=last.max_tokens, system="\n".join(PERSONA), tools=list(TOOLS),
                messages=list(last.messages), output_config=config,
            ) as stream:  # fmt: skip
                stream.until_done()
        assert len(server.bodies[-2]) <= 1.05 * len(server.bodies[-1])


def test_a_question_without_tools_marks_the_persona_alone():
    with ModelServer("lazy") as server:
        answered(server, ask(tools=(), answer=None, effort=""))
        (sent,) = server.asked
        assert set(sent.body) == {"model", "max_tokens", "stream", "messages", "system"}
        assert sent.body["system"][-1]["cache_control"] == {"type": "ephemeral"}


def test_thinking_goes_back_as_it_came():
    with ModelServer(
        [Say((thought("Mmh — ünïcode 👍"), call("repo_read", {"path": "a"}))), Say((text("Done."),))]
    ) as server:
        answers, _ = conversation(model_of(server), ask())
        assert answers[0].content[0] == thought("Mmh — ünïcode 👍")
        assert server.asked[1].body["messages"][1]["content"][0] == thought("Mmh — ünïcode 👍")
        assert server.refused == []


def test_tokens_are_counted_by_the_endpoint():
    with ModelServer() as server:
        assert model_of(server).count(ask()) == len(server.counted[0].raw) // 4
        assert server.asked == []
        assert "max_tokens" not in server.counted[0].body
        assert server.counted[0].prefix


def test_a_person_reads_along_in_the_thread_that_asks():
    with ModelServer(Say((thought("hidden"), text("one two three " * 20), call("repo_read", {"path": "a"})))) as server:
        heard, threads = [], set()

        def hear(piece):
            heard.append(piece)
            threads.add(threading.current_thread())

        answer = model_of(server).answer(ask(), hear)
        assert "".join(heard) == answer.content[1]["text"] == "one two three " * 20
        assert len(heard) > 5
        assert threads == {threading.current_thread()}


def test_what_goes_wrong_with_who_reads_along_is_not_the_models_fault():
    def hear(_piece):
        raise OSError("the terminal has gone")

    with ModelServer("lazy") as server, pytest.raises(OSError, match="the terminal has gone"):
        model_of(server).answer(ask(), hear)


def test_usage_is_what_the_end_of_the_stream_says():
    said = Say(
        (text("x"),),
        usage={
            "input_tokens": 7,
            "output_tokens": 9,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": None,
        },
    )
    with ModelServer(said) as server:
        assert answered(server).usage == Usage(7, 9, 5, 0)


@pytest.mark.parametrize(
    ("scenario", "stop"),
    [("refusal", "refusal"), ("max-tokens", "max_tokens"), ("pause-turn", "pause_turn"), ("lazy", "end_turn"),
     ("context-exceeded", "model_context_window_exceeded"), ("empty", "end_turn"), ("blank", "end_turn")],
)  # fmt: skip
def test_every_way_to_stop_is_told(scenario, stop):
    with ModelServer(scenario) as server:
        answer = answered(server)
        assert answer.stop == stop
        assert (answer.content == ()) is (scenario in ("empty", "blank"))


def test_a_paused_turn_goes_on_where_it_was():
    with ModelServer([Say((text("One moment."),), stop="pause_turn"), Say((text("Here."),))]) as server:
        model = model_of(server)
        first = model.answer(ask())
        again = ask(messages=(*ask().messages, {"role": "assistant", "content": list(first.content)}))
        assert model.answer(again).content == (text("Here."),)
        assert server.refused == []


# What comes and is none


MALFORMED = {
    '{"limit": 2.5}': "fraction", '{"limit": 1e3}': "fraction", '{"limit": NaN}': "fraction", '{"a": 1, "a": 2}': "twice",
    "[1]": "not an object", "null": "not an object", '"go"': "not an object", '{"path": "a': "not JSON", "}{": "not JSON",
    '{"n": 9007199254740992}': "53 bits", '{"ключ": 1}': "ASCII", '{"a": "\\ud800"}': "broken text",
    '{"a":' * 40 + "1" + "}" * 40: "levels", '{"a":' * 5000: "not JSON", '{"n": ' + "9" * 5000 + "}": "not JSON",
}  # fmt: skip


@pytest.mark.parametrize("written", MALFORMED, ids=lambda written: written[:24])
def test_an_input_that_is_none_is_told_and_the_rest_of_the_reply_stays(written):
    said = Say((text("I look."), broken_call("repo_read", written), call("repo_grep", {"path": "b"})))
    with ModelServer([said, Say((text("Sorry."),))]) as server:
        answers, _ = conversation(model_of(server), ask())
        _, broken, good = answers[0].content
        assert set(broken["input"]) == {"malformed_input"}
        assert MALFORMED[written] in broken["input"]["malformed_input"]
        assert good["input"] == {"path": "b"}
        canonical(list(answers[0].content))
        # It can be sent back as it is: the API takes it.
        assert (len(answers), server.refused) == (2, [])


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii")), inner), max_leaves=8,
))  # fmt: skip
def test_an_input_that_can_be_kept_is_kept_as_it_is(value):
    assert assembly.tool_input(json.dumps({"value": value})) == {"value": value}


@given(st.text())
def test_any_text_is_an_input_that_can_be_kept(written):
    canonical(assembly.tool_input(written))


class Event:
    """An event as the SDK gives it: fields by name, whatever they hold."""

    def __init__(self, fields):
        for key, value in fields.items():
            inner = key in ("delta", "message", "usage") and isinstance(value, dict)
            setattr(self, key, Event(value) if inner else value)


def stream(said):
    asked = Asked(0, "/v1/messages", {}, b"{}", {"model": "m", "messages": []})
    return [
        Event({"type": kind, **data}) for kind, data in events(said, asked, {"input_tokens": 3, "output_tokens": 4})
    ]


WHOLE = Say(
    (
        thought("Mmh."),
        text("I look."),
        call("repo_read", {"path": "a"}, "toolu_1"),
        call("repo_grep", {"path": "b"}, "toolu_2"),
    )
)


def test_nothing_of_a_stream_is_used_before_its_end():
    whole = stream(WHOLE)
    for end in range(len(whole)):
        reply = assembly.Reply("m")
        for event in whole[:end]:
            reply.take(event)
        assert reply.whole() is None, end
    reply = assembly.Reply("m")
    for event in whole:
        reply.take(event)
    assert [block["type"] for block in reply.whole().content] == ["thinking", "text", "tool_use", "tool_use"]


@given(st.data())
def test_a_stream_in_disorder_gives_nothing_or_blocks_that_can_be_kept(data):
    spoilt = stream(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at, to = (data.draw(st.integers(0, len(spoilt) - 1)) for _ in range(2))
        match data.draw(st.sampled_from(["drop", "double", "swap", "field"])):
            case "drop":
                spoilt.pop(at)
            case "double":
                spoilt.insert(to, spoilt[at])
            case "swap":
                spoilt[at], spoilt[to] = spoilt[to], spoilt[at]
            case "field" if vars(spoilt[at]):
                field = data.draw(st.sampled_from(sorted(vars(spoilt[at]))))
                spoilt[at] = Event(
                    {**vars(spoilt[at]), field: data.draw(st.sampled_from([None, -1, 1.5, "x", [], {}, True, 2**60]))}
                )
        if len(spoilt) < 2:
            break
    reply = assembly.Reply("m")
    try:
        for event in spoilt:
            reply.take(event)
        answer = reply.whole()
    except (Unfit, AttributeError, TypeError, KeyError):  # what the adapter takes for a reply that could not be read
        return
    if answer is not None:
        canonical(list(answer.content))
        assert answer.stop in assembly.STOPS
        assert min(answer.usage.input, answer.usage.output) >= 0


FAILURES = {
    "cut-off": "model-unavailable", "cut-off-politely": "model-unavailable", "broken-off": "model-unavailable",
    "429-long": "model-unavailable", "too-long": "model-context-exceeded", "unpaid": "model-credentials",
    "redirect": "model-refused-request", "huge": "model-malformed", "no-end-of-event": "model-malformed",
    "lines": "model-malformed", "no-events": "model-malformed", "no-json": "model-malformed", "too-deep": "model-malformed",
    "compressed": "model-malformed", "negative": "model-malformed",
}  # fmt: skip


@pytest.mark.parametrize("scenario", FAILURES)
def test_what_is_no_whole_reply_is_a_failure_with_a_reason_and_asked_once(scenario):
    with ModelServer(scenario) as server:
        began = time.monotonic()
        failed = refused(server)
        assert time.monotonic() - began < 15
        assert failed.reason_code == FAILURES[scenario]
        assert failed.hint
        assert failed.exit_code == EXIT_REFUSED
        assert len(server.asked) == 1
        assert server.refused == []


@pytest.mark.parametrize(("scenario", "times"), [("429", 4), ("529", 4), ("dead", 4)])
def test_what_may_pass_is_tried_again_so_often_and_no_more(scenario, times):
    with ModelServer(scenario) as server:
        assert refused(server).reason_code == "model-unavailable"
        assert len(server.asked) == times
        assert len(set(server.bodies)) == 1


@pytest.mark.parametrize("scenario", ["429-once", "529-once"])
def test_what_passed_is_no_failure(scenario):
    with ModelServer(scenario) as server:
        assert answered(server).stop == "tool_use"
        assert len(server.asked) == 2


@pytest.mark.parametrize("scenario", ["silent", "drip", "pings", "429", "dead"])
def test_no_server_holds_a_turn_longer_than_its_time(scenario):
    with ModelServer(scenario) as server:
        model = model_of(server, seconds=1)
        began = time.monotonic()
        with pytest.raises(ModelFailed) as caught:
            model.answer(ask())
        assert time.monotonic() - began < 5
        assert caught.value.reason_code == "model-unavailable"
        # Nobody waits any more, so nothing more is asked.
        known = len(server.asked)
        time.sleep(1.5)
        assert len(server.asked) == known


@pytest.mark.parametrize("value", ["inf", "1e9", "-5", "nan", "soon", "9" * 40, "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_a_wait_that_is_no_plain_number_of_seconds_is_not_kept(value):
    with ModelServer(
        [Refuse(429, "rate_limit_error", "later", {"retry-after": value}), Say((text("Now."),))]
    ) as server:
        began = time.monotonic()
        assert answered(server).content == (text("Now."),)
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "event",
    [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "../x", "name": "a", "input": {}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "a b", "input": {}}},
        {"type": "message_start", "message": {"id": "m", "model": "m", "content": [], "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": None},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_stop", "index": 3},
        {"type": "message_delta", "delta": {"stop_reason": "approved"}, "usage": {"output_tokens": 1}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1.5}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2**60}},
    ],
)  # fmt: skip
def test_an_event_out_of_the_protocol_spoils_the_reply(event):
    begin = {"type": "message_start", "message": {"id": "m", "model": "m", "content": [], "usage": {"input_tokens": 1}}}
    pieces = (framed("message_start", begin), framed(event["type"], event),
              framed("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {}}), framed("message_stop", {}))  # fmt: skip
    if event.get("delta", {}).get("stop_reason"):
        pieces = (pieces[0], pieces[1], pieces[3])
    with ModelServer(Raw(pieces)) as server:
        assert refused(server).reason_code == "model-malformed"


@pytest.mark.parametrize("seed", range(40))
def test_whatever_a_hostile_model_says_is_a_reply_or_a_failure(seed):
    with ModelServer(hostile(seed)) as server:
        model = model_of(server)
        answers, _ = conversation(model, ask(), most=4)
        for answer in answers:
            canonical(list(answer.content))
        assert server.refused == []
        assert KEY not in "".join(asked.said for asked in server.asked)


# Keys


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500])
def test_a_key_that_a_server_repeats_is_shown_to_nobody(status):
    said = f"invalid key: Bearer {KEY} {KEY[:20]}\n{KEY[20:]} \x1b[2J"
    with ModelServer(Refuse(status, "api_error", said, {"x-should-retry": "false"})) as server:
        failed = refused(server)
        shown = "".join(traceback.format_exception(failed)) + failed.message + failed.hint + failed.detail
        assert KEY not in shown
        assert KEY[:20] not in shown
        assert "\x1b" not in failed.message + failed.detail
        assert failed.__cause__ is None


def test_a_wrong_key_is_a_matter_of_credentials():
    with ModelServer() as server:
        model = opened(server.models(), {"ANTHROPIC_API_KEY": "sk-ant-wrong-0123456789"}, seconds=5)
        with pytest.raises(ModelFailed) as caught:
            model.answer(ask())
        assert caught.value.reason_code == "model-credentials"
        assert "0123456789" not in caught.value.message + caught.value.detail


@pytest.mark.parametrize("value", [None, "", "  ", "a\nb", "ключ-ключ-ключ", "x" * 20_000])
def test_what_cannot_be_a_key_is_not_sent(value):
    with ModelServer() as server:
        environ = {} if value is None else {"ANTHROPIC_API_KEY": value}
        with pytest.raises(ModelFailed) as caught:
            opened(server.models(), environ).answer(ask())
        assert caught.value.reason_code == "model-credentials"
        assert "ANTHROPIC_API_KEY" in caught.value.message
        assert (value or "").strip() in ("", "a\nb") or value not in caught.value.message
        assert server.asked == []


def test_the_process_environment_picks_neither_address_nor_key(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-somebody-else-1")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "of-somebody-else")
    with ModelServer("lazy") as server:
        answered(server)
        assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


# How a company's gateway is spoken to, which is not where this goes; one line would take the place of the key.
GATEWAY = "X-Gateway-Key: of-a-gateway\nAuthorization: Bearer of-a-gateway\nAccept-Encoding: br"


def test_headers_that_the_process_environment_holds_go_nowhere(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", GATEWAY)
    with ModelServer("lazy") as server:
        model = model_of(server)
        model.answer(ask())
        model.count(ask())
        for asked in (*server.asked, *server.counted):
            assert "of-a-gateway" not in str(asked.headers)
            assert asked.headers["authorization"] == f"Bearer {KEY}"
            assert asked.headers["accept-encoding"] == "identity"
        assert len(server.counted) == 1


@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "vertex", "foundry"])
def test_no_client_takes_headers_from_the_process_environment(monkeypatch, provider):
    from pilothouse.llm import clients
    from pilothouse.settings import Models

    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", GATEWAY)
    monkeypatch.setattr(clients, "find_spec", lambda _name: True)  # a cloud's library is needed only to send
    environ = {"AWS_REGION": "eu-west-1", "CLOUD_ML_REGION": "eu", "ANTHROPIC_VERTEX_PROJECT_ID": "acme"}
    client = clients.client_of(Models(provider=provider, base_url="http://127.0.0.1:9"), environ, "a-key", 5)
    with client:
        assert "of-a-gateway" not in str(client.default_headers)
        assert client.default_headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("provider", "environ", "missing"),
    [
        ("bedrock", {}, "pilothouse[bedrock]"),
        ("vertex", {}, "pilothouse[vertex]"),
        ("foundry", {}, "ANTHROPIC_FOUNDRY_API_KEY"),
        ("foundry", {"ANTHROPIC_FOUNDRY_API_KEY": "a-key-of-foundry"}, "ANTHROPIC_FOUNDRY_RESOURCE"),
    ],
)
def test_a_cloud_that_is_not_set_up_is_a_failure_that_says_what_is_missing(provider, environ, missing):
    from pilothouse.settings import Models

    environ = {**environ, "ANTHROPIC_API_KEY": KEY}
    with pytest.raises(ModelFailed) as caught:
        opened(Models(provider=provider), environ).answer(ask())
    assert caught.value.reason_code == "model-credentials"
    assert missing in caught.value.message + caught.value.hint


def test_foundry_gets_its_own_key_and_not_anthropics():
    with ModelServer("lazy", key="a-key-of-foundry") as server:
        environ = {"ANTHROPIC_FOUNDRY_API_KEY": "a-key-of-foundry", "ANTHROPIC_API_KEY": KEY}
        models = server.models(provider="foundry")
        with pytest.raises(ModelFailed):  # the stand-in wants a bearer token; Foundry's header is another
            opened(models, environ, seconds=5).answer(ask())
        headers = server.asked[0].headers
        assert "a-key-of-foundry" in headers.values()
        assert KEY not in str(headers)


def test_nothing_is_loaded_before_a_question():
    code = (
        "import sys; from pilothouse.llm.anthropic import AnthropicModel; from pilothouse.settings import Models;"
        "AnthropicModel(Models(), {}); print([name for name in ('anthropic', 'httpx2', 'pydantic') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# The stand-in itself: it refuses what the real one refuses


BAD = {
    "unknown field": {"temperature": 1}, "no messages": {"messages": []},
    "assistant first": {"messages": [{"role": "assistant", "content": "x"}]},
    "prefill": {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "{"}]},
    "unanswered call": {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": [call("a", {}, "t1")]}, {"role": "user", "content": "y"}]},
    "result of nothing": {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x"}]}]},
    "foreign thought": {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": [thought("no")]}, {"role": "user", "content": "y"}]},
    "empty text": {"messages": [{"role": "user", "content": ""}]}, "unknown key of a block": {"messages": [{"role": "user", "content": [{**text("x"), "why": 1}]}]},
    "dot in a name": {"tools": [tool("repo.read")]}, "twice": {"tools": [tool(), tool()]},
    "open schema": {"tools": [tool(input_schema={"type": "object", "properties": {}})]},
    "a fraction": {"messages": [{"role": "user", "content": "x"}], "metadata": {"a": 0.5}},
    "five marks": {"system": [{**text("x"), "cache_control": {"type": "ephemeral"}}] * 5},
}  # fmt: skip


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_the_stand_in_refuses_what_the_api_refuses(body):
    good = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    with (
        ModelServer("lazy") as server,
        anthropic.Anthropic(api_key=KEY, base_url=server.url, max_retries=0) as bare,
    ):
        with bare.messages.create(stream=True, **good) as stream:
            assert list(stream)
        with pytest.raises(anthropic.BadRequestError):
            bare.messages.create(stream=True, **good, extra_body=body)
        assert len(server.refused) == 1


def test_the_sdk_itself_understands_the_stand_in():
    with (
        ModelServer("helpful") as server,
        anthropic.Anthropic(api_key=KEY, base_url=server.url) as bare,
        bare.messages.stream(
            model="m", max_tokens=500, messages=[{"role": "user", "content": "x"}], tools=list(TOOLS)
        ) as stream,
    ):
        message = stream.get_final_message()
        assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]


@pytest.mark.parametrize(
    "scenario", [name for name, play in SCENARIOS.items() if not isinstance(play, Hang) and name != "pings"]
)
def test_every_scenario_ends_in_a_reply_or_a_known_failure(scenario):
    with ModelServer(scenario) as server:
        with suppress(ModelFailed):
            assert answered(server, seconds=6).stop in assembly.STOPS
        assert server.refused == []
