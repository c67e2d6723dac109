"""The shape of ``models``: with which models the agents think, and what that may cost.

Ids, prices and efforts are data here and nowhere else: a new model needs no new Pilothouse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, WithJsonSchema

from pilothouse import settings
from pilothouse.config.scalars import Name, Url, Variable, no
from pilothouse.config.shape import Shape

_MODEL = r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,199}"
_MONEY = r"\d{1,6}(\.\d{1,6})?"
_HERE = ("127.0.0.1", "localhost", "::1")


def _model(value: str) -> str:
    if re.fullmatch(_MODEL, value) is None:
        raise no(f"{value[:60]!a} is not the id of a model", "as the endpoint has it, for example: claude-sonnet-5")
    if value in {"scripted", "guard"}:
        raise no(f"{value} is who judges without a model", "a model's id, as the endpoint has it")
    return value


def _money(value: str) -> str:
    # The reader leaves fractions as text, so an amount is what was written, to the last digit.
    if re.fullmatch(_MONEY, value) is None:
        raise no(f"{value[:40]!a} is not an amount in US dollars", 'write it as text, for example: "1.50"')
    return value


ModelId = Annotated[
    str,
    AfterValidator(_model),
    WithJsonSchema({"type": "string", "pattern": f"^{_MODEL}$", "description": "a model's id, as the endpoint has it"}),
]
Money = Annotated[
    str,
    AfterValidator(_money),
    WithJsonSchema({"type": "string", "pattern": f"^{_MONEY}$", "description": "US dollars, as text"}),
]


class PersonaModel(Shape):
    """With which model a persona thinks, and how much."""

    model: ModelId | None = Field(default=None, description="the model's id; default: the one of all personas")
    effort: Literal["low", "medium", "high"] | None = Field(
        default=None, description="how much work goes into a reply; without it, as the model does by itself"
    )
    max_tokens: int = Field(default=8000, ge=256, le=128_000, description="of one reply, thinking included")
    turns: int = Field(default=12, ge=1, le=100, description="how often it may be asked in one step")


class Budget(Shape):
    """What models may use up. Where it is spent, the scripted agent goes on; the gates stay as they were."""

    tokens: int | None = Field(default=None, ge=1000, le=10**12, description="of requests and replies together")
    cost: Money | None = Field(default=None, description="US dollars, by `prices`; without it money is not counted")
    turns: int | None = Field(default=None, ge=1, le=10**6, description="requests")
    seconds: int | None = Field(default=None, ge=1, le=86_400, description="waiting for models")


def _budget(name: str) -> Budget:
    kept = settings.BUDGETS[name]
    about = f"of a {name}; default: {kept.tokens} tokens, {kept.turns} turns, {kept.seconds} seconds, any cost"
    budget: Budget = Field(default_factory=Budget, description=about)
    return budget


class Budgets(Shape):
    """What models may use up in a step, a run and a day (UTC, all runs of this project)."""

    step: Budget = _budget("step")
    run: Budget = _budget("run")
    day: Budget = _budget("day")


class Prices(Shape):
    """What a model costs, in US dollars for a million tokens."""

    input: Money = Field(description="tokens of a request")
    output: Money = Field(description="tokens of a reply")
    cache_read: Money | None = Field(default=None, description="tokens read from a cache; default: as input")
    cache_write: Money | None = Field(
        default=None, description="tokens written into a cache; default: as input, and a quarter more"
    )


class Models(Shape):
    """With which models the agents think."""

    provider: Literal["anthropic", "bedrock", "vertex", "foundry"] = Field(
        default="anthropic",
        description="whose service it is; the clouds take region, project and login from their usual variables",
    )
    base_url: Url | None = Field(default=None, description="another endpoint that speaks the Messages API")
    profile: Literal["ollama", "llama-cpp", "vllm", "lm-studio", "litellm"] | None = Field(
        default=None, description="which server that endpoint is: what it lacks is left out"
    )
    key_variable: Variable = Field(
        default="ANTHROPIC_API_KEY", description="the variable that holds the key; only the model's client receives it"
    )
    model: ModelId = Field(default="claude-sonnet-5", description="the model of every persona that names no other")
    outage: Literal["scripted", "wait"] = Field(
        default="scripted", description="where no model answers: the scripted agent goes on, or the step waits"
    )
    personas: dict[Name, PersonaModel] = Field(default_factory=dict, description="what differs, by persona")
    budgets: Budgets = Field(default_factory=Budgets, description="what models may use up")
    prices: dict[ModelId, Prices] = Field(default_factory=dict, description="what models cost, by id")


def faults(shape: Models) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """What one key says against another: place below ``models``, what is wrong, what to write instead."""
    yield from _endpoint(shape)
    budgets = frozen(shape).budgets
    for key in ("tokens", "cost", "turns", "seconds"):
        for small, large in (("step", "run"), ("run", "day")):
            less, more = getattr(budgets[small], key), getattr(budgets[large], key)
            if less is not None and more is not None and less > more:
                wider = large if getattr(getattr(shape.budgets, small), key) is None else small
                yield (
                    ("budgets", wider, key),
                    f"a {small} may use more than a {large}",
                    f"{large}.{key}: {less} or more",
                )
    if any(budget.cost is not None for budget in budgets.values()):
        used = dict.fromkeys([shape.model, *(item.model for item in shape.personas.values() if item.model)])
        for model in used:
            if model not in shape.prices:
                message = f"a cost is limited, and what {model} costs is not said"
                yield (
                    ("prices",) if shape.prices else ("budgets",),
                    message,
                    f"prices: {{{model}: {{input: …, output: …}}}}",
                )


def _endpoint(shape: Models) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    if shape.profile and not shape.base_url:
        yield ("profile",), "a profile is for an endpoint, and none is named", "add base_url"
    if shape.profile and shape.provider != "anthropic":
        yield ("profile",), f"{shape.provider} needs no profile", "leave it out"
    if shape.base_url is None:
        return
    parts = urlsplit(shape.base_url)
    if parts.scheme == "http" and parts.hostname not in _HERE and not shape.profile:
        yield ("base_url",), "a key and the product's code would travel unencrypted", "an https address"
    if shape.provider == "anthropic" and re.search(r"/v1(/messages)?$", parts.path):
        yield ("base_url",), "the client adds /v1/messages by itself", "leave it out"


def frozen(shape: Models) -> settings.Models:
    """As frozen values, amounts in millionths of a US dollar."""
    budgets = {name: _kept(getattr(shape.budgets, name), kept) for name, kept in settings.BUDGETS.items()}
    personas = {
        name: settings.PersonaModel(item.model or "", item.effort or "", item.max_tokens, item.turns)
        for name, item in shape.personas.items()
    }
    return settings.Models(
        provider=shape.provider,
        base_url=shape.base_url or "",
        profile=shape.profile or "",
        key_variable=shape.key_variable,
        model=shape.model,
        outage=shape.outage,
        personas=personas,
        budgets=budgets,
        prices={model: _prices(item) for model, item in shape.prices.items()},
    )


def _kept(shape: Budget, kept: settings.Budget) -> settings.Budget:
    return settings.Budget(
        tokens=kept.tokens if shape.tokens is None else shape.tokens,
        turns=kept.turns if shape.turns is None else shape.turns,
        seconds=kept.seconds if shape.seconds is None else shape.seconds,
        cost=None if shape.cost is None else _micros(shape.cost),
    )


def _prices(shape: Prices) -> settings.Prices:
    plain = _micros(shape.input)
    return settings.Prices(
        input=plain,
        output=_micros(shape.output),
        cache_read=plain if shape.cache_read is None else _micros(shape.cache_read),
        cache_write=-(-plain * 5 // 4) if shape.cache_write is None else _micros(shape.cache_write),
    )


def _micros(amount: str) -> int:
    return int(Decimal(amount) * 1_000_000)
