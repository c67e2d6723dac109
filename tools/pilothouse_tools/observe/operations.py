"""How an environment fares: metrics, logs, settings, credentials."""

from __future__ import annotations

import re
from http import HTTPStatus
from itertools import pairwise
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.model import Argument, Observation
from pilothouse_tools import commands, envelope, web
from pilothouse_tools.door import Arguments, observes
from pilothouse_tools.text import one_line, visible

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context

_TIMEOUT = 60.0
_HITS = 50
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?[ \t]*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_REQUESTS = "http_requests_total"
_BUCKET = "http_request_duration_seconds_bucket"
_CODES = ("code", "status", "status_code")
_ERROR = re.compile(r"5(?:\d\d|xx)", re.IGNORECASE)


def parse_metrics(text: str) -> tuple[int, int, list[tuple[int, int]]]:
    """Requests, server errors and cumulative latency buckets from Prometheus' text format, summed over their labels.

    Returns:
        requests, errors, and (upper bound in microseconds, -1 for infinity; count) in rising order.

    Raises:
        ToolFailed: ``no-data`` where the counters are not there, ``bad-answer`` where they are no counters.
    """
    requests: int | None = None
    errors = 0
    buckets: dict[int, int] = {}
    for line in text.splitlines():
        found = _SAMPLE.fullmatch(line)
        if line.startswith("#") or found is None or found.group(1) not in {_REQUESTS, _BUCKET}:
            continue
        labels = dict(_LABEL.findall(found.group(2) or ""))
        number = _count(found.group(3))
        if found.group(1) == _REQUESTS:
            requests = (requests or 0) + number
            code = next((labels[name] for name in _CODES if name in labels), "")
            errors += number if _ERROR.fullmatch(code) else 0
        else:
            bound = _microseconds(labels.get("le", ""))
            buckets[bound] = buckets.get(bound, 0) + number
    if requests is None:
        raise ToolFailed(
            "no-data", f"the metrics hold no {_REQUESTS}", "Serve it with a label code, or name another page."
        )
    ordered = sorted(buckets.items(), key=lambda item: (item[0] < 0, item[0]))
    if any(after[1] < before[1] for before, after in pairwise(ordered)):
        raise ToolFailed("bad-answer", f"the buckets of {_BUCKET} are not cumulative")
    return requests, errors, ordered


def _count(text: str) -> int:
    try:
        number = float(text)
        whole = int(number)
    except (ValueError, OverflowError):
        raise ToolFailed("bad-answer", f"the metrics hold {text[:40]!r} where a count should be") from None
    if whole != number or not 0 <= whole < 2**53:
        raise ToolFailed("bad-answer", f"the metrics hold {text[:40]!r} where a count should be")
    return whole


def _microseconds(bound: str) -> int:
    if bound == "+Inf":
        return -1
    try:
        return round(float(bound) * 1_000_000)
    except (ValueError, OverflowError):
        raise ToolFailed("bad-answer", f"{_BUCKET} has the bound {bound[:40]!r}") from None


def _sample(context: Context, arguments: Arguments) -> Observation:
    environment = context.environment(arguments.text("environment"))
    if environment.metrics_path is None:
        raise ToolFailed(
            "metrics-not-configured", f"{environment.name} has no metrics page", "Add metrics.path to pilothouse.yml."
        )
    rules = environment.health
    answer = web.get(
        web.join(environment.url, environment.metrics_path), timeout=rules.timeout, allow_private=rules.allow_private
    )
    if answer.status != HTTPStatus.OK:
        raise Unreachable("environment-unreachable", f"the metrics of {environment.name} answer {answer.status}")
    requests, errors, buckets = parse_metrics(answer.body.decode("utf-8", "replace"))
    at = context.clock.now().isoformat(timespec="milliseconds")
    shown: list[Json] = [[bound, count] for bound, count in buckets]
    facts: dict[str, Json] = {"requests": requests, "errors": errors, "buckets": shown, "at": at}
    return Observation(facts, "", f"{environment.name}: {requests} requests, {errors} errors")


def _scan(context: Context, arguments: Arguments) -> Observation:
    environment, sha = context.environment(arguments.text("environment")), arguments.text("sha")
    if environment.logs is None:
        return Observation(
            {"configured": False, "hits": [], "lines": 0}, sha, f"{environment.name}: no logs configured"
        )
    done = commands.run(context, environment, sha, environment.logs.run, {}, _TIMEOUT)
    # A command that fails has shown no logs, and logs cut in the middle may lack the very line.
    if done.code or done.timed_out or done.truncated:
        raise commands.failed(context, done, f"the logs command of {environment.name}")
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    hits = [line for line in lines if any(text in line for text in environment.logs.reject)]
    shown: list[Json] = [one_line(context.redact(line), 300) for line in hits[:_HITS]]
    if len(hits) > _HITS:
        shown.append(f"[{len(hits) - _HITS} more]")
    return Observation(
        {"configured": True, "hits": shown, "lines": len(lines)},
        sha,
        f"{environment.name}: {len(hits)} of {len(lines)} lines",
    )


def _drift(context: Context, arguments: Arguments) -> Observation:
    sha = arguments.text("sha")
    pair = [context.product.environments.get(name) for name in ("staging", "production")]
    said: list[dict[str, Json]] = []
    for environment in pair:
        if environment is None or environment.settings is None:
            return Observation({"configured": False, "differences": []}, sha, "drift: not configured")
        said.append(commands.answer(context, environment, sha, environment.settings, {}, _TIMEOUT))
    keys = sorted((said[0].keys() | said[1].keys()) - set(context.product.drift_ignore))
    differences: list[Json] = [
        {"key": visible(key), "staging": _shown(context, said[0], key), "production": _shown(context, said[1], key)}
        for key in keys
        if key not in said[0]
        or key not in said[1]
        or said[0][key] != said[1][key]
        or type(said[0][key]) is not type(said[1][key])
    ]
    return Observation({"configured": True, "differences": differences}, sha, f"{len(differences)} settings differ")


def _shown(context: Context, settings: dict[str, Json], key: str) -> str:
    return one_line(context.redact(str(settings[key])), 200) if key in settings else "(not set)"


def _credentials(context: Context, _arguments: Arguments) -> Observation:
    wanted = [("forge", name) for name in (context.product.forge.credentials if context.product.forge else ())]
    wanted += [("remote", context.product.remote_token)] if context.product.remote_token else []
    wanted += [(item.name, name) for item in context.product.environments.values() for name in item.credentials]
    missing: list[Json] = [
        {"environment": where, "name": name} for where, name in wanted if not context.environ.get(name)
    ]
    # A key that signs records and is not there must stop a run before anything moves, not when the record is written.
    envelope.key_of(context.product.audit, context.environ, context.child_environ())
    return Observation({"missing": missing}, "", f"{len(wanted) - len(missing)} of {len(wanted)} credentials present")


_PLACE = {"environment": Argument("environment"), "sha": Argument("sha")}
TOOLS = (
    observes(
        "metrics.sample",
        "Requests, server errors and latency buckets of an environment, counted since its start.",
        {"environment": Argument("environment")},
        {"requests": "integer", "errors": "integer", "buckets": "object", "at": "text"},
        _sample,
    ),
    observes(
        "logs.scan", "Recent log lines that hold a rejected text.", _PLACE,
        {"configured": "flag", "hits": "object", "lines": "integer"}, _scan,
    ),
    observes(
        "settings.drift", "Settings in which staging and production differ.", {"sha": Argument("sha")},
        {"configured": "flag", "differences": "object"}, _drift,
    ),
    observes(
        "credentials.present", "Which configured credential variables are not set; never their values.", {},
        {"missing": "object"}, _credentials,
    ),
)  # fmt: skip
