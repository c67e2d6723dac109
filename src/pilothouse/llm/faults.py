"""What the SDK raises, as ``ModelFailed``: a reason code, what happened, what to do. No key, no traceback."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from pilothouse.errors import ModelFailed
from pilothouse.llm.limits import Late, Unfit

_TOO_LONG = re.compile(
    r"prompt is too long|too many (input )?tokens|input is too long|exceeds?_context_size|maximum context"
    r"|(exceed|larger|longer|greater)\w* .{0,60}context|context (length|window|size) .{0,40}exceed",
    re.IGNORECASE,
)
_UNPAID = re.compile(r"credit balance|billing|quota of your plan", re.IGNORECASE)
_KINDS = {
    "authentication_error": "model-credentials", "permission_error": "model-credentials",
    "billing_error": "model-credentials", "rate_limit_error": "model-unavailable",
    "overloaded_error": "model-unavailable", "api_error": "model-unavailable", "timeout_error": "model-unavailable",
    "invalid_request_error": "model-refused-request", "not_found_error": "model-refused-request",
}  # fmt: skip
HINTS = {
    "model-unavailable": "try again later; the policy models.outage says what a run does meanwhile",
    "model-refused-request": "compare models in pilothouse.yml with what the endpoint can do: pilothouse doctor",
    "model-context-exceeded": "a model with a larger context, or fewer turns: models.personas",
    "model-malformed": "the endpoint does not speak the Messages API as it should: pilothouse doctor",
    "model-credentials": "see that the variable models.key_variable names holds a key that is valid and paid for",
}
_SHOWN, _KEPT = 200, 2000


def failed(reason_code: str, message: str, hint: str = "", detail: str = "") -> ModelFailed:
    """A failure with the hint of its reason code, where it has none of its own."""
    return ModelFailed(reason_code, message, hint or HINTS[reason_code], detail)


def translated(error: BaseException, where: str, clean: Callable[[str], str], seconds: float) -> ModelFailed:
    """What was raised while a model was asked.

    Args:
        error: of the SDK, of its HTTP client, of ``limits``, or anything else that a hostile reply made happen.
        where: the endpoint, for people.
        clean: takes held values out of text of the endpoint.
        seconds: how long it was waited for.
    """
    import anthropic
    import httpx2

    causes = list(_causes(error))
    for cause in causes:
        match cause:
            case ModelFailed():
                return cause
            case Unfit():
                return failed("model-malformed", f"{where} sent {cause}")
            case Late():
                return failed("model-unavailable", f"{where} gave no whole reply within {seconds:g} seconds")
    match error:
        case anthropic.APIStatusError():
            return _answered(error, where, clean)
        case anthropic.APITimeoutError() | httpx2.TimeoutException():
            return failed("model-unavailable", f"{where} did not answer in time ({type(causes[-1]).__name__})")
        case anthropic.APIConnectionError():
            return failed("model-unavailable", f"no connection to {where} ({type(causes[-1]).__name__})")
        case httpx2.TransportError():
            return failed("model-unavailable", f"{where} broke the connection off ({type(error).__name__})")
        case anthropic.CredentialsError():
            return failed("model-credentials", f"there are no credentials for {where}")
        case ImportError():
            return failed("model-credentials", f"a library that {where} needs is not installed", _INSTALL)
    name = type(error).__name__
    # Names of modules that may be absent are compared as text: google.auth and botocore come with extras.
    if type(error).__module__.startswith(("google.auth", "botocore", "boto3")):
        return failed("model-credentials", f"no login for {where} ({name})", "log in as that cloud's own tools do")
    return failed("model-malformed", f"the reply of {where} could not be read ({name})")


_INSTALL = "pip install 'pilothouse[bedrock]' or 'pilothouse[vertex]'"


def _answered(error: object, where: str, clean: Callable[[str], str]) -> ModelFailed:
    status = getattr(error, "status_code", 0)
    kind, said = getattr(error, "type", None), getattr(error, "api_message", None)
    said = said if isinstance(said, str) else ""
    code = _KINDS.get(kind if isinstance(kind, str) else "", "")
    if not code or status >= 300:
        code = _by_status(status) or code or "model-unavailable"
    if code == "model-refused-request" and _UNPAID.search(said):
        code = "model-credentials"
    if status == 413 or (code == "model-refused-request" and _TOO_LONG.search(said)):
        code = "model-context-exceeded"
    hint = "name its final address in models.base_url" if 300 <= status < 400 else ""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in clean(said[: 2 * _KEPT])).split())
    told = f": {text[:_SHOWN]}" if text else ""
    what = f"answered {status}" if status >= 300 else "broke off with an error"
    return failed(code, f"{where} {what}{told}", hint, text[:_KEPT])


def _by_status(status: int) -> str:
    match status:
        case 401 | 402 | 403:
            return "model-credentials"
        case 408 | 409 | 425 | 429 | 499:
            return "model-unavailable"
        case _ if status >= 500:
            return "model-unavailable"
        case _ if status >= 300:
            return "model-refused-request"
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
