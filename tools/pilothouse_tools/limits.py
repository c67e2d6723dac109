"""The forge's rate limits: whether an answer is one, and how long it asks us to stay away.

The rules are GitHub's (docs.github.com, "Rate limits for the REST API" and "Rate limits and query limits for the
GraphQL API"): ``retry-after`` first; else, where nothing remains, ``x-ratelimit-reset``; else at least a minute, longer
each time.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from pilothouse.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pilothouse.ports import Clock

PATIENCE = 300.0  # seconds that waiting may cost in all; whoever asks for more is told when to come back
_UNTOLD = 60.0  # seconds, where the forge does not say
_TYPES = frozenset({"RATE_LIMITED", "RATE_LIMIT"})


def pause(
    status: int, headers: Mapping[str, str], said: str, kinds: Collection[str], now: float
) -> tuple[float, bool] | None:
    """How many seconds an answer asks us to wait, and whether it said so itself; None where it is no rate limit.

    Args:
        status: of HTTP.
        headers: by name in lower case.
        said: the forge's complaint, empty where it has none; never its data, in which anybody may write anything.
        kinds: the types of GraphQL's errors.
        now: seconds since 1970, for answers without a date.
    """
    words = "rate limit" in said.casefold() or "abuse detection" in said.casefold()
    spent = headers.get("x-ratelimit-remaining") == "0"
    match status:
        case 429:
            limited = True
        case 403:
            limited = words or spent or "retry-after" in headers
        case 200:
            limited = bool(_TYPES & set(kinds)) or "secondary rate limit" in said.casefold()
        case _:
            limited = False
    if not limited:
        return None
    if told := headers.get("retry-after", ""):
        seconds = float(told) if told.isdigit() else (_date(told) or now + _UNTOLD) - _there(headers, now)
        return max(seconds, 1.0), True
    reset = headers.get("x-ratelimit-reset", "")
    if spent and reset.isdigit():
        # The forge's clock is compared with itself: ours may be minutes off.
        return max(float(reset) - _there(headers, now), 1.0), True
    return _UNTOLD, False


def _there(headers: Mapping[str, str], now: float) -> float:
    return _date(headers.get("date", "")) or now


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError):
        return None


class Pace:
    """What several askers of one forge share: until when all of them wait, and how much waiting is left."""

    def __init__(self, clock: Clock, patience: float = PATIENCE) -> None:
        self._clock, self._left = clock, patience
        self._lock = threading.Lock()
        self._until = clock.now()
        self._again = 0

    def wait(self) -> None:
        """Return when the forge may be asked."""
        with self._lock:
            left = (self._until - self._clock.now()).total_seconds()
        if left > 0:
            self._clock.sleep(left)

    def limited(self, seconds: float, *, told: bool) -> None:
        """Take note of a limit: everybody waits so long; ``told``: the forge named the time itself.

        Raises:
            Unreachable: ``forge-rate-limited``: that is longer than there is patience; when to come back is named.
        """
        with self._lock:
            now = self._clock.now()
            if not told:
                seconds *= 2**self._again
                self._again += 1
            back = now + timedelta(seconds=seconds)
            more = (back - max(self._until, now)).total_seconds()
            if more > self._left:
                shown = (back + timedelta(seconds=1)).strftime("%Y-%m-%d %H:%M:%S UTC")
                raise Unreachable(
                    "forge-rate-limited",
                    f"the forge's rate limit is reached; it answers again at {shown}",
                    f"After {shown}: pilothouse resume",
                )
            if more > 0:
                self._left -= more
                self._until = back
