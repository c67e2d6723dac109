"""Bounds on what an endpoint may cost in time and bytes, whatever it sends.

The SDK bounds a single read and the number of retries. It waits as long as a server asks for (``retry-after``, up to
49 days), passes over pings without end, reads any number of bytes, and its decoder takes time in the square of an
event's lines. So a request runs in a thread of its own, which is left behind when its time is over; and a hook on the
HTTP client caps waits and counts bytes. The hook leaves proxies and TLS as the SDK sets them up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TypeVar

import httpx2

from pilothouse.ports import nobody_hears

LONGEST_EVENT = 4_000_000  # bytes: more than a whole tool input of 128,000 tokens, which some servers send in one
MOST_LINES = 64  # of one event; the protocol has two
_LEAST_WAIT = 2.0  # seconds that must be left for another attempt

Result = TypeVar("Result")


class Stop(BaseException):
    """A request ends here. No ``Exception``: one of its HTTP client the SDK takes for no connection, and retries."""


class Late(Stop):
    """The time of a request is over."""


class Unfit(Stop):
    """What comes is more than, or other than, a reply can be. The text is ours alone: what was sent."""


@dataclass(slots=True)
class Bounds:
    """What one request may use up: until when (monotonic seconds), how many bytes of reply. ``over``: nobody waits."""

    until: float
    most: int
    over: bool = False

    @property
    def left(self) -> float:
        """Seconds that are left, not below zero."""
        return max(0.0, self.until - monotonic())


_here = threading.local()


def within(
    seconds: float,
    most: int,
    work: Callable[[Callable[[str], None]], Result],
    hear: Callable[[str], None] = nobody_hears,
) -> Result:
    """Do the work of one request, for at most so long.

    Args:
        seconds: then the request is given up, whatever its thread is waiting for.
        most: bytes of reply.
        work: is called in a thread of its own, with a function that takes text for ``hear``.
        hear: is called here, in the calling thread.

    Raises:
        Late: the time is over.
        BaseException: what the work raised.
    """
    bounds = Bounds(monotonic() + seconds, most)
    told: SimpleQueue[tuple[str, Result | None, BaseException | None]] = SimpleQueue()

    def say(text: str) -> None:
        if text and not bounds.over:  # an empty text is the end
            told.put((text, None, None))

    def run() -> None:
        _here.bounds = bounds
        try:
            told.put(("", work(nobody_hears if hear is nobody_hears else say), None))
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            told.put(("", None, error))

    threading.Thread(target=run, name="model", daemon=True).start()
    try:
        while True:
            text, result, error = told.get(timeout=bounds.left)
            if error is not None:
                raise error
            if not text:
                return result  # type: ignore[return-value] # no text and no error: this is what the work returned
            hear(text)
    except Empty:
        raise Late from None
    finally:
        bounds.over = True


def go_on(_request: httpx2.Request) -> None:
    """The hook before an attempt: none for a request that nobody waits for any more."""
    bounds: Bounds | None = getattr(_here, "bounds", None)
    if bounds is not None and (bounds.over or bounds.left <= 0):
        raise Late


def keep(response: httpx2.Response) -> None:
    """The hook after an attempt: what a response may ask for and send, by the bounds of the request that it answers."""
    bounds: Bounds | None = getattr(_here, "bounds", None)
    if bounds is None:
        return
    if bounds.over:
        raise Late
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Unfit("a compressed reply, which was not asked for")  # a small bomb of bytes counts as what it becomes
    _cap_wait(response, bounds)
    assert isinstance(response.stream, httpx2.SyncByteStream)
    events = "text/event-stream" in response.headers.get("content-type", "")
    response.stream = _Counted(response.stream, bounds, events=events)


def _cap_wait(response: httpx2.Response, bounds: Bounds) -> None:
    """No attempt that would come too late, and no wait that is not a plain number of seconds."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        asked = response.headers.get(name)
        if asked is None:
            continue
        if not asked.isascii() or not asked.isdigit() or len(asked) > 12:
            del response.headers[name]
        elif int(asked) * unit + _LEAST_WAIT > bounds.left:
            response.headers["x-should-retry"] = "false"
    if bounds.left < _LEAST_WAIT:
        response.headers["x-should-retry"] = "false"


class _Counted(httpx2.SyncByteStream):
    """A body that ends with an error where it is too long, too late, or no stream of events."""

    def __init__(self, inner: httpx2.SyncByteStream, bounds: Bounds, *, events: bool) -> None:
        self._inner, self._bounds, self._events = inner, bounds, events

    def __iter__(self) -> Iterator[bytes]:
        total = since = lines = 0
        for chunk in self._inner:
            if self._bounds.over or self._bounds.left <= 0:
                raise Late
            total += len(chunk)
            if total > self._bounds.most:
                raise Unfit(f"more than the {self._bounds.most} bytes that a reply to this request can have")
            if self._events:
                end = max(chunk.rfind(b"\n\n"), chunk.rfind(b"\r\n\r\n"), chunk.rfind(b"\r\r"))
                tail = chunk if end < 0 else chunk[end + 2 :]
                since = len(tail) + (since if end < 0 else 0)
                lines = tail.count(b"\n") + tail.count(b"\r") + (lines if end < 0 else 0)
                if since > LONGEST_EVENT or lines > MOST_LINES:
                    raise Unfit("an event without end")
            yield chunk

    def close(self) -> None:
        """Give the connection back."""
        self._inner.close()
