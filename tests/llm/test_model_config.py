"""``models`` of pilothouse.yml: read strictly, frozen without fractions, and a key that goes nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse import config, settings
from pilothouse.errors import InvalidFile
from playbook.samples import CONFIG
from test_config import MINIMAL

WHOLE = """\
models:
  provider: anthropic
  base_url: http://127.0.0.1:8765
  profile: vllm
  key_variable: MODEL_KEY
  model: claude-sonnet-5
  outage: wait
  personas:
    release-manager: {model: claude-opus-5, effort: high, max_tokens: 16000, turns: 20}
    technical-writer: {effort: low}
  budgets:
    step: {tokens: 100000, cost: "1.00", turns: 12, seconds: 300}
    run: {cost: "10"}
    day: {cost: "50.5", turns: 500}
  prices:
    claude-sonnet-5: {input: "3.00", output: "15.00", cache_read: "0.30", cache_write: "3.75"}
    claude-opus-5: {input: "5", output: "25"}
"""


def read(models: str, base: str = MINIMAL) -> settings.Configuration:
    return config.parse(base + models)


@pytest.mark.parametrize("text", ["", "models: null\n", "models: ~\n", "models:\n"])
def test_without_models_every_agent_is_scripted(text):
    assert read(text).models is None


def test_a_whole_section_becomes_frozen_values():
    models = read(WHOLE).models
    assert (models.provider, models.base_url, models.profile) == ("anthropic", "http://127.0.0.1:8765", "vllm")
    assert (models.key_variable, models.outage) == ("MODEL_KEY", "wait")
    assert models.of("release-manager") == settings.PersonaModel("claude-opus-5", "high", 16000, 20)
    assert models.of("technical-writer") == settings.PersonaModel("claude-sonnet-5", "low", 8000, 12)
    assert models.of("qa-engineer") == settings.PersonaModel("claude-sonnet-5", "", 8000, 12)
    assert models.budgets["step"] == settings.Budget(100_000, 12, 300, 1_000_000)
    assert models.budgets["run"] == settings.Budget(2_000_000, 120, 3600, 10_000_000)
    assert models.budgets["day"] == settings.Budget(10_000_000, 500, 86_400, 50_500_000)
    assert models.prices["claude-sonnet-5"] == settings.Prices(3_000_000, 15_000_000, 300_000, 3_750_000)
    assert models.prices["claude-opus-5"] == settings.Prices(5_000_000, 25_000_000, 5_000_000, 6_250_000)


def test_an_empty_section_means_the_defaults_and_says_that_models_are_wanted():
    assert read("models: {}\n").models == settings.Models()


def test_a_stored_text_means_the_same_again():
    first = read(WHOLE, CONFIG)
    assert config.parse(first.source, first.path) == first


def test_money_is_counted_in_whole_millionths_and_rounded_up():
    prices = read(WHOLE).models.prices["claude-sonnet-5"]
    assert prices.cost(tokens_in=1_000_000, out=0) == 3_000_000
    assert prices.cost(tokens_in=1, out=0) == 3
    assert prices.cost(tokens_in=0, out=0, cache_read=1) == 1  # 0.3 of a millionth
    assert prices.cost(tokens_in=0, out=0) == 0


@given(st.lists(st.integers(0, 10**9), min_size=4, max_size=4))
def test_no_tokens_cost_less_than_they_do(tokens):
    prices = settings.Prices(3_000_000, 15_000_000, 300_000, 3_750_000)
    exact = 3 * tokens[0] + 15 * tokens[1] + 0.3 * tokens[2] + 3.75 * tokens[3]
    found = prices.cost(tokens_in=tokens[0], out=tokens[1], cache_read=tokens[2], cache_write=tokens[3])
    assert exact - 1e-3 <= found < exact + 1.001


BAD = [
    ("modle: claude-sonnet-5", "unknown key 'modle'", "model"),
    ("provider: openai", "expected anthropic or bedrock or vertex or foundry", ""),
    ("model: 'claude sonnet'", "is not the id of a model", "claude-sonnet-5"),
    ("model: ''", "is not the id of a model", "claude-sonnet-5"),
    ("profile: llamacpp\n  base_url: http://127.0.0.1:1", "expected ollama or llama-cpp", ""),
    ("profile: ollama", "a profile is for an endpoint, and none is named", "base_url"),
    (
        "provider: bedrock\n  profile: ollama\n  base_url: http://127.0.0.1:1",
        "bedrock needs no profile",
        "leave it out",
    ),
    ("base_url: http://models.acme.example", "would travel unencrypted", "https"),
    ("base_url: https://me:hunter2secret@models.acme.example", "may not carry a user", "variable"),
    ("base_url: https://models.acme.example/v1/", "adds /v1/messages by itself", "leave it out"),
    ("key_variable: sk-ant-0123456789", "is not the name of a variable", "never its value"),
    ("key_variable: PATH", "is set by Pilothouse", ""),
    ("outage: stop", "expected scripted or wait", ""),
    ("personas: {release-manager: {effort: extreme}}", "expected low or medium or high", ""),
    ("personas: {release-manager: {turns: 0}}", "turns", ""),
    ("personas: {release-manager: {max_tokens: many}}", "expected a whole number", ""),
    ("personas: {Release Manager: {turns: 3}}", "a name of lower-case letters", ""),
    ("budgets: {step: {tokens: 3000000}}", "a step may use more than a run", "run.tokens: 3000000 or more"),
    ("budgets: {run: {turns: 5}}", "a step may use more than a run", "run.turns: 12 or more"),
    ('budgets: {step: {cost: "-1"}}', "is not an amount in US dollars", "1.50"),
    ('budgets: {step: {cost: "1.00"}}', "what claude-sonnet-5 costs is not said", "prices"),
    ('prices: {claude-sonnet-5: {input: "3"}}', "output", ""),
    ('prices: {claude-sonnet-5: {input: 3, output: "15"}}', "expected text", ""),
]


@pytest.mark.parametrize(("line", "says", "hint"), BAD, ids=[line[:50] for line, _, _ in BAD])
def test_what_does_not_fit_is_refused_with_what_to_write(line, says, hint):
    with pytest.raises(InvalidFile) as caught:
        read(f"models:\n  {line}\n")
    assert says in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.line > MINIMAL.count("\n")
    assert "hunter2secret" not in caught.value.message
    assert "0123456789" not in caught.value.message


@pytest.mark.parametrize("variable", ["GH_TOKEN", "ACME_STAGING_DB", "ACME_PRODUCTION_DB"])
def test_a_models_key_is_nobody_elses(variable):
    with pytest.raises(InvalidFile, match=f"{variable} is a credential of the product 'acme'") as caught:
        read(f"models:\n  key_variable: {variable}\n", CONFIG)
    assert "a variable of its own" in caught.value.hint


@pytest.mark.parametrize(
    "model",
    [
        "claude-sonnet-5",
        "anthropic.claude-sonnet-5-v1:0",
        "qwen3-coder:30b",
        "openai/gpt-oss-20b",
        "claude-opus-5@20260801",
    ],
)
def test_a_models_id_is_whatever_its_endpoint_calls_it(model):
    assert read(f"models:\n  model: {model}\n").models.model == model


def test_an_amount_without_quotation_marks_is_the_same_amount():
    assert read(WHOLE.replace('"1.00"', "1.00")).models == read(WHOLE).models


def test_an_endpoint_on_ones_own_network_may_be_plain_where_it_is_said_what_it_is():
    assert read("models:\n  base_url: http://10.0.0.7:11434\n  profile: ollama\n").models.profile == "ollama"


@pytest.mark.parametrize("name", ["scripted", "guard"])
def test_no_model_is_called_as_who_judges_without_one(name):
    with pytest.raises(InvalidFile, match="judges without a model"):
        read(f"models: {{model: {name}}}\n")
