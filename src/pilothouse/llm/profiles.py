"""What an endpoint that speaks the Messages API lacks, and how a request is written without it.

A profile only ever takes away. What a server does not know it either ignores, so that a promise (a strict tool, a
schema for the answer) would be believed and not kept, or refuses, so that nothing works. Arguments and answers are
validated here whatever the endpoint promises.

An endpoint that passes on to Anthropic unchanged (a company's proxy, LiteLLM in front of Claude alone) needs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pilothouse.settings import Models


@dataclass(frozen=True, slots=True)
class Profile:
    """What may be in a request to an endpoint.

    Attributes:
        strict: ``tools[].strict``: the endpoint holds a call's arguments to the tool's schema.
        output_format: ``output_config.format``: it holds the answer to a schema; else the schema is told in words.
        cache: ``cache_control`` on the stable prefix.
        rolling_cache: ``cache_control`` of the whole request, which marks the end of the conversation.
        effort: ``output_config.effort``.
        thinking: thinking blocks of earlier turns may be sent back.
        counting: there is ``/v1/messages/count_tokens``.
        keyless: it may run without a key.
    """

    name: str = ""
    strict: bool = True
    output_format: bool = True
    cache: bool = True
    rolling_cache: bool = True
    effort: bool = True
    thinking: bool = True
    counting: bool = True
    keyless: bool = False


_LOCAL = Profile(
    strict=False, output_format=False, cache=False, rolling_cache=False, effort=False, thinking=True, keyless=True
)

PROFILES: Mapping[str, Profile] = {
    # docs.ollama.com/api/anthropic-compatibility, "Not supported": count_tokens, tool_choice, metadata, cache_control,
    # error events in a stream. anthropic/anthropic.go: a Tool has name, description and input_schema; OutputConfig has
    # an effort, which becomes `think`, and no format.
    "ollama": replace(_LOCAL, name="ollama", effort=True, counting=False),
    # ggml-org/llama.cpp tools/server/server-chat.cpp, server_chat_convert_anthropic_to_oai: of a tool it takes name,
    # description and input_schema; output_config and cache_control are not looked at; thinking blocks become
    # reasoning_content. tools/server/README.md: POST /v1/messages/count_tokens.
    "llama-cpp": replace(_LOCAL, name="llama-cpp"),
    # vllm-project/vllm vllm/entrypoints/anthropic/protocol.py: AnthropicTool.strict, AnthropicOutputConfig (effort,
    # format), thinking blocks; no cache_control (prefixes are cached by themselves). count_tokens since PR 35588.
    "vllm": Profile(name="vllm", cache=False, rolling_cache=False, keyless=True),
    # lmstudio.ai/docs/developer/anthropic-compat lists /v1/messages alone, with messages, system, tools, tool_choice
    # and streaming: nothing else is promised, so nothing else is sent.
    "lm-studio": replace(_LOCAL, name="lm-studio", thinking=False, counting=False),
    # docs.litellm.ai/docs/anthropic_unified: one endpoint before many providers. structured_output: for Claude alone;
    # an effort is checked against a table of models (BerriAI/litellm PR 27074). count_tokens falls back to an estimate.
    "litellm": Profile(
        name="litellm", strict=False, output_format=False, rolling_cache=False, effort=False, keyless=False
    ),
}


def profile_of(models: Models) -> Profile:
    """What may be in a request, by configuration.

    The clouds speak the Messages API of Claude with two exceptions: the SDK counts no tokens on Bedrock
    (``anthropic/lib/bedrock/_client.py``), and ``cache_control`` of a whole request is documented for the first-party
    API, so it is sent there alone. On Vertex structured outputs are off until an organisation allows them
    (docs.cloud.google.com, "Control access to structured outputs"); ``doctor`` finds that out.
    """
    if models.profile:
        return PROFILES[models.profile]
    if models.provider == "anthropic":
        return Profile()
    return Profile(name=models.provider, rolling_cache=False, counting=models.provider != "bedrock")
