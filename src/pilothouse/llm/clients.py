"""The SDK's clients by configuration: whose service, which address, which key.

A key goes to the address that the same configuration names, so both must come from a place that is trusted; who
composes the conductor sees to that. Nothing of the process's environment picks the address, the key or a header; a
proxy that it names carries what is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from pilothouse.llm.faults import failed
from pilothouse.llm.profiles import profile_of
from pilothouse.settings import Models

FIRST_PARTY = "https://api.anthropic.com"
_OWN_KEY = Models().key_variable
_RETRIES = 3  # besides the first attempt: 429, 5xx and no connection; asking again changes nothing in the world
_CONNECT = 10.0
_HEADERS = {"Accept-Encoding": "identity"}


def key_of(models: Models, environ: Mapping[str, str]) -> str:
    """The key that the configuration names; empty where the endpoint runs without one, or a cloud's login is used.

    Raises:
        ModelFailed: there is none, or what there is cannot be one.
    """
    variable = models.key_variable
    if models.provider != "anthropic" and variable == _OWN_KEY:
        # The default names Anthropic's key, which is nobody else's business.
        variable = {"bedrock": "AWS_BEARER_TOKEN_BEDROCK", "foundry": "ANTHROPIC_FOUNDRY_API_KEY"}.get(
            models.provider, ""
        )
    key = environ.get(variable, "").strip()
    needed = models.provider == "foundry" or (models.provider == "anthropic" and not profile_of(models).keyless)
    if needed and not key:
        raise failed("model-credentials", f"{variable} is not set", f"export {variable}, or leave models out")
    if not key.isascii() or not key.isprintable() or len(key) > 10_000:
        raise failed("model-credentials", f"{variable} holds what cannot be a key", f"look at the value of {variable}")
    return key


def client_of(models: Models, environ: Mapping[str, str], key: str, seconds: float) -> Any:
    """A client of the SDK.

    Args:
        seconds: of a single read.

    Raises:
        ModelFailed: a library, a region or a project is missing.
    """
    import anthropic
    import httpx2

    from pilothouse.llm.limits import go_on, keep

    wire = anthropic.DefaultHttpxClient(
        timeout=httpx2.Timeout(seconds, connect=min(seconds, _CONNECT)),
        follow_redirects=False,  # a redirect would take the conversation, and the key, where nobody sent them
        event_hooks={"request": [go_on], "response": [keep]},
    )
    common: dict[str, Any] = {
        "http_client": wire, "max_retries": _RETRIES, "default_headers": _HEADERS, "open_telemetry": False,
    }  # fmt: skip
    try:
        client = _of_provider(models, environ, key, common)
    except BaseException:
        wire.close()
        raise
    # The SDK adds what ANTHROPIC_CUSTOM_HEADERS holds, wherever it sends to: often another gateway's credential.
    client._custom_headers = dict(_HEADERS)  # noqa: SLF001  # it knows no other way; the tests look at what is sent
    return client


def _of_provider(models: Models, environ: Mapping[str, str], key: str, common: dict[str, Any]) -> Any:
    import anthropic

    match models.provider:
        case "bedrock":
            return _bedrock(models, environ, key, common)
        case "vertex":
            return _vertex(models, environ, common)
        case "foundry":
            return _foundry(models, environ, key, common)
        case _:
            # Servers that run without a key want the header all the same.
            return anthropic.Anthropic(api_key=key or "none", base_url=models.base_url or FIRST_PARTY, **common)


def _bedrock(models: Models, environ: Mapping[str, str], key: str, common: dict[str, Any]) -> Any:
    from anthropic.lib.bedrock import AnthropicBedrock

    if find_spec("botocore") is None:  # the decoder of its streams needs it, with a key as without
        raise failed("model-credentials", "Bedrock's library is not installed", "pip install 'pilothouse[bedrock]'")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise failed("model-credentials", "no AWS region is named", "export AWS_REGION")
    return AnthropicBedrock(
        api_key=key or None,
        aws_access_key=environ.get("AWS_ACCESS_KEY_ID") if not key else None,
        aws_secret_key=environ.get("AWS_SECRET_ACCESS_KEY") if not key else None,
        aws_session_token=environ.get("AWS_SESSION_TOKEN") if not key else None,
        aws_profile=environ.get("AWS_PROFILE") if not key else None,
        aws_region=region,
        base_url=models.base_url or f"https://bedrock-runtime.{region}.amazonaws.com",
        **common,
    )


def _foundry(models: Models, environ: Mapping[str, str], key: str, common: dict[str, Any]) -> Any:
    import anthropic

    if models.base_url:
        return anthropic.AnthropicFoundry(api_key=key, base_url=models.base_url, **common)
    resource = environ.get("ANTHROPIC_FOUNDRY_RESOURCE")
    if not resource:
        raise failed("model-credentials", "no Foundry resource is named", "export ANTHROPIC_FOUNDRY_RESOURCE")
    # The address itself: else the SDK would prefer a variable's.
    return anthropic.AnthropicFoundry(
        api_key=key, base_url=f"https://{resource}.services.ai.azure.com/anthropic/", **common
    )


def _vertex(models: Models, environ: Mapping[str, str], common: dict[str, Any]) -> Any:
    from anthropic.lib.vertex import AnthropicVertex

    if find_spec("google") is None or find_spec("google.auth") is None:
        raise failed("model-credentials", "Vertex's library is not installed", "pip install 'pilothouse[vertex]'")
    region, project = environ.get("CLOUD_ML_REGION"), environ.get("ANTHROPIC_VERTEX_PROJECT_ID")
    if not region or not project:
        missing = "ANTHROPIC_VERTEX_PROJECT_ID" if region else "CLOUD_ML_REGION"
        raise failed("model-credentials", f"{missing} is not set", f"export {missing}")
    host = {
        "global": "aiplatform.googleapis.com", "us": "aiplatform.us.rep.googleapis.com",
        "eu": "aiplatform.eu.rep.googleapis.com",
    }.get(region, f"{region}-aiplatform.googleapis.com")  # fmt: skip
    return AnthropicVertex(
        region=region, project_id=project, base_url=models.base_url or f"https://{host}/v1", **common
    )
