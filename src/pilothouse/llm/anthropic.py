"""The model port on the ``anthropic`` SDK: one turn at a time, whole or not at all.

The SDK signs, sends, retries and decodes. ``messages.create(stream=True)`` gives the same request and the same events
as ``messages.stream`` without its accumulation, which is too lenient here (``assembly.py`` says how). ``anthropic`` is
imported with the first question: it takes more than a second.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pilothouse.canonical import Json
from pilothouse.errors import ModelFailed
from pilothouse.llm.profiles import Profile, profile_of
from pilothouse.ports import Answer, Ask, nobody_hears
from pilothouse.settings import Models

_Result = TypeVar("_Result")
_EPHEMERAL: dict[str, Json] = {"type": "ephemeral"}
_ROOM, _A_TOKEN = 1_000_000, 512  # bytes of a reply: for what is not text, and for each token with its event around it


def as_given(text: str) -> str:
    """Where nothing is held that would have to be taken out of a text."""
    return text


class AnthropicModel:
    """A model behind the Messages API (the port ``Model``).

    Args:
        models: whose service, which address, which key.
        environ: the conductor's environment; only the client receives the key.
        seconds: how long a turn may take, retries included; None: as long as a step.
        redact: takes held values out of text, besides the key itself.
        profile: what may be in a request; None: as configured.
    """

    def __init__(
        self,
        models: Models,
        environ: Mapping[str, str],
        *,
        seconds: float | None = None,
        redact: Callable[[str], str] = as_given,
        profile: Profile | None = None,
    ) -> None:
        self._models, self._environ, self._redact = models, environ, redact
        self._seconds = float(models.budgets["step"].seconds if seconds is None else seconds)
        self.profile = profile or profile_of(models)
        self._client: Any = None
        self._key = ""
        self._opening = threading.Lock()
        self._prefix: tuple[tuple[object, ...], dict[str, Any]] | None = None

    def answer(self, ask: Ask, hear: Callable[[str], None] = nobody_hears) -> Answer:
        """One turn. Raises ModelFailed."""
        request = self.request(ask)

        def work(client: Any, say: Callable[[str], None]) -> Answer:
            from pilothouse.llm.assembly import Reply
            from pilothouse.llm.faults import failed

            reply = Reply(ask.model, say)
            with client.messages.create(stream=True, **request) as stream:
                for event in stream:
                    reply.take(event)
            whole = reply.whole()
            if whole is None and not reply.begun:
                raise failed("model-malformed", f"what {self.where} sent is no stream of a reply")
            if whole is None:
                raise failed("model-unavailable", f"{self.where} broke off before its reply was whole")
            return whole

        return self._bounded(work, _ROOM + _A_TOKEN * ask.max_tokens, hear, ask.seconds)

    def count(self, ask: Ask) -> int:
        """How many input tokens a request has, asked of the endpoint. Raises ModelFailed."""
        from pilothouse.llm.faults import failed

        if not self.profile.counting:
            raise failed("model-refused-request", f"{self.profile.name} counts no tokens", "an estimate must do")
        request = self.request(ask)
        del request["max_tokens"]

        def work(client: Any, _say: Callable[[str], None]) -> int:
            found = client.messages.count_tokens(**request).input_tokens
            if type(found) is not int or not 0 <= found < 2**53:
                raise failed("model-malformed", f"{self.where} counted no number of tokens")
            return found

        return self._bounded(work, _ROOM, nobody_hears, ask.seconds)

    def request(self, ask: Ask) -> dict[str, Any]:
        """The fields of a request, as they are put on the wire."""
        request: dict[str, Any] = {
            "model": ask.model, "max_tokens": ask.max_tokens, **self._stable(ask), "messages": self._messages(ask),
        }  # fmt: skip
        config: dict[str, Any] = {}
        if ask.effort and self.profile.effort:
            config["effort"] = ask.effort
        if ask.answer is not None and self.profile.output_format:
            config["format"] = {"type": "json_schema", "schema": ask.answer}
        if config:
            request["output_config"] = config
        # Where there are tools there are further turns, which then read this one from the cache.
        if ask.tools and self.profile.cache and self.profile.rolling_cache:
            request["cache_control"] = _EPHEMERAL
        return request

    @property
    def where(self) -> str:
        """The endpoint, for people."""
        return urlsplit(self._models.base_url).netloc if self._models.base_url else self._models.provider

    def close(self) -> None:
        """Give connections back."""
        with self._opening:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _stable(self, ask: Ask) -> dict[str, Any]:
        """System and tools, made once for all turns that share them."""
        told = None if ask.answer is None or self.profile.output_format else ask.answer
        of = (ask.system, ask.tools, told)
        if self._prefix is None or self._prefix[0] != of:
            self._prefix = (of, self._made(ask.system, ask.tools, told))
        return self._prefix[1]

    def _made(self, system: tuple[str, ...], tools: tuple[Json, ...], told: Json) -> dict[str, Any]:
        texts = [*system, *([_in_words(told)] if told is not None else [])]
        blocks: list[dict[str, Any]] = [{"type": "text", "text": text} for text in texts if text]
        defined = [dict(tool) for tool in tools if isinstance(tool, dict)]
        if not self.profile.strict:
            defined = [{key: value for key, value in tool.items() if key != "strict"} for tool in defined]
        if self.profile.cache and (blocks or defined):
            (blocks or defined)[-1]["cache_control"] = _EPHEMERAL  # tools stand before the system, and are cached too
        made: dict[str, Any] = {}
        if defined:
            made["tools"] = defined
        if blocks:
            made["system"] = blocks
        return made

    def _messages(self, ask: Ask) -> list[Any]:
        if self.profile.thinking:
            return list(ask.messages)
        return [_without_thinking(message) for message in ask.messages]

    def _opened(self) -> Any:
        with self._opening:
            if self._client is None:
                from pilothouse.llm.clients import client_of, key_of

                self._key = key_of(self._models, self._environ)
                self._client = client_of(self._models, self._environ, self._key, self._seconds)
            return self._client

    def _bounded(
        self, work: Callable[[Any, Callable[[str], None]], _Result], most: int, hear: Callable[[str], None], limit: int
    ) -> _Result:
        from pilothouse.llm.faults import translated
        from pilothouse.llm.limits import Stop, within

        heard: list[BaseException] = []
        seconds = min(self._seconds, limit) if limit else self._seconds

        def listening(text: str) -> None:
            try:
                hear(text)
            except BaseException as error:
                heard.append(error)  # ours, not the model's
                raise

        try:
            client = self._opened()  # here: the time is the endpoint's, not that of loading the library
            return within(seconds, most, partial(work, client), nobody_hears if hear is nobody_hears else listening)
        except (Exception, Stop) as error:  # a hostile reply can make anything happen in what reads it
            if heard:
                raise
            # Not from the error: it holds the request, and the request holds the key.
            failure = translated(error, self.where, self._clean, seconds)
        raise ModelFailed(failure.reason_code, failure.message, failure.hint, failure.detail) from None

    def _clean(self, text: str) -> str:
        from pilothouse.redaction import Redactor

        text = self._redact(text)
        if not self._key:
            return text
        return Redactor([(self._models.key_variable, self._key)])(text).replace(self._key, "[key]")


def _in_words(schema: Json) -> str:
    written = json.dumps(schema, separators=(",", ":"), ensure_ascii=False)
    return f"Your last message is one JSON object and nothing else, of this JSON Schema:\n{written}"


def _without_thinking(message: Json) -> Json:
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return message
    kinds = ("thinking", "redacted_thinking")
    kept = [block for block in message["content"] if not (isinstance(block, dict) and block.get("type") in kinds)]  # type: ignore[union-attr]
    return {**message, "content": kept}
