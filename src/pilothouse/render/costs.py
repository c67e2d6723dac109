"""What models used up, by agent and together: tokens, turns, money (AGT-6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pilothouse.canonical import Json
from pilothouse.events import ModelAnswered
from pilothouse.render.course import agent_title
from pilothouse.render.screen import Line, Tone, cut, line, padded
from pilothouse.render.text import safe

_NAME, _TURNS, _NUMBER = 18, 6, 10
_HEADS = ("turns", "in", "out", "cached", "written", "cost")
_WHOLE = 1 + _NAME + _TURNS + 5 * _NUMBER  # columns of the table; a narrower screen has tokens as one sum
_SHORT_HEADS = ("turns", "tokens", "cost")


@dataclass(frozen=True, slots=True)
class Spending:
    """What replies used up.

    Attributes:
        turns: requests.
        input: tokens that were neither read from a cache nor written into one.
        output: tokens of replies, thinking included.
        cache_read: tokens read from a cache.
        cache_write: tokens written into one.
        tokens: what budgets count.
        cost: millionths of a dollar; 0 where the model has no price.
        took: milliseconds of waiting.
    """

    turns: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    tokens: int = 0
    cost: int = 0
    took: int = 0

    @classmethod
    def of(cls, answers: Iterable[ModelAnswered]) -> Spending:
        """The sum of replies."""
        known = list(answers)

        def used(name: str) -> int:
            return sum(value for item in known if type(value := item.usage.get(name)) is int)

        return cls(
            len(known), used("input"), used("output"), used("cache_read"), used("cache_write"),
            sum(item.tokens for item in known), sum(item.cost for item in known), sum(item.took for item in known),
        )  # fmt: skip

    def as_json(self) -> dict[str, Json]:
        """For scripts; ``cost`` is US dollars as text, to the millionth."""
        return {
            "turns": self.turns, "input": self.input, "output": self.output, "cache_read": self.cache_read,
            "cache_write": self.cache_write, "tokens": self.tokens, "cost": dollars(self.cost, exact=True),
            "took_ms": self.took,
        }  # fmt: skip


def by_agent(said: Mapping[str, Sequence[ModelAnswered]]) -> tuple[tuple[str, Spending], ...]:
    """Each agent's spending, the dearest first."""
    found = [(agent, Spending.of(answers)) for agent, answers in said.items() if answers]
    return tuple(sorted(found, key=lambda item: (-item[1].cost, -item[1].tokens, item[0])))


def together(parts: Iterable[tuple[str, Spending]]) -> Spending:
    """The sum of what agents used up."""
    total = Spending()
    for _, part in parts:
        names = Spending.__slots__
        total = Spending(*(getattr(total, name) + getattr(part, name) for name in names))
    return total


def dollars(micros: int, *, exact: bool = False) -> str:
    """Millionths of a dollar as dollars: four decimals for people, who need no more, or all six."""
    if exact:
        return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"
    tenths = -(-micros // 100)  # rounded up: something that cost is never shown as nothing
    return f"${tenths // 10_000}.{tenths % 10_000:04d}"


def cost_lines(parts: Sequence[tuple[str, Spending]], width: int) -> list[Line]:
    """A table: a row an agent, and the run. Empty where no model was asked."""
    if not parts:
        return []
    whole = width > _WHOLE
    names = _HEADS if whole else _SHORT_HEADS
    heads = "".join(f"{head:>{_TURNS if head == 'turns' else _NUMBER}}" for head in names)
    rows = [line(" ", (padded("Models", _NAME), Tone.STRONG), (heads, Tone.DIM))]
    rows += [line(" ", padded(safe(agent_title(agent), 60), _NAME), _cells(part, whole=whole)) for agent, part in parts]
    if len(parts) > 1:
        rows.append(line(" ", (padded("The run", _NAME), Tone.STRONG), _cells(together(parts), whole=whole)))
    if not any(part.cost for _, part in parts):
        rows.append(
            line(" ", (cut("No prices are configured (models.prices): money is not counted.", width - 1), Tone.DIM))
        )
    return rows


def _cells(part: Spending, *, whole: bool) -> str:
    each = (part.input, part.output, part.cache_read, part.cache_write) if whole else (part.tokens,)
    cost = dollars(part.cost) if part.cost else "–"
    return f"{part.turns:>{_TURNS},}" + "".join(f"{number:>{_NUMBER},}" for number in each) + f"{cost:>{_NUMBER}}"


def cost_pieces(parts: Sequence[tuple[str, Spending]]) -> tuple[str, ...]:
    """The run's sum and then each agent's, in few words; empty where no model was asked."""
    if not parts:
        return ()
    named = parts if len(parts) > 1 else ()
    return (*_short("", together(parts)), *(", ".join(_short(f"{agent_title(name)} ", part)) for name, part in named))


def _short(before: str, part: Spending) -> tuple[str, ...]:
    return (f"{before}{part.tokens:,} tokens", *((dollars(part.cost),) if part.cost else ()))
