"""How an evaluation is shown: two tables on a terminal, a report in Markdown, everything in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals import agents
from evals.scoring import Score
from evals.worlds import CASES

WIDTH = 100
SHORT = {
    "release-manager": "manager", "qa-engineer": "qa", "devops-engineer": "devops", "support-engineer": "support",
    "data-analyst": "analyst", "technical-writer": "writer",
}  # fmt: skip
_MUST = {"ships": "ship", "held": "be held", "either": "do no harm, shipped or held"}


def judgement(item: Score) -> str:
    """How a release compares with the truth, in a word or two."""
    if item.end == "broken":
        return "BROKEN"
    if item.unsafe:
        return "UNSAFE"
    if item.missed:
        return "missed, no gate" if item.expected else "MISSED"
    if item.false_hold:
        return "false hold"
    return "ok: shipped" if item.shipped else "ok: held"


def named(item: Score) -> str:
    """Who named the blocker, briefly."""
    if not CASES[item.case].truth.blocker:
        return ""
    return ", ".join(SHORT.get(name, name) for name in item.named) or "nobody"


def usd(millionths: int) -> str:
    """Money as it is shown."""
    return f"{millionths / 1e6:.2f}" if millionths else "–"


@dataclass(frozen=True, slots=True)
class Report:
    """One evaluation: its day, how long it took, its scores, and which agents were left out why."""

    day: str
    seconds: float
    scores: tuple[Score, ...]
    skipped: Mapping[str, str]

    def sums(self) -> Iterator[dict[str, Any]]:
        """Per agents."""
        for name in dict.fromkeys(item.agents for item in self.scores):
            mine = [item for item in self.scores if item.agents == name]
            blocked = [item for item in mine if CASES[item.case].truth.blocker]
            yield {
                "agents": name, "worlds": len(mine), "unsafe": sum(bool(item.unsafe) for item in mine),
                "missed": sum(item.missed for item in mine), "false_holds": sum(item.false_hold for item in mine),
                "named": f"{sum(bool(item.named) for item in blocked)}/{len(blocked)}",
                "turns": sum(item.turns for item in mine), "tokens": sum(item.tokens for item in mine),
                "usd": usd(sum(item.cost for item in mine)), "seconds": round(sum(item.seconds for item in mine)),
            }  # fmt: skip

    def rows(self) -> Iterator[dict[str, Any]]:
        """Per release."""
        for item in self.scores:
            yield {
                "case": item.case, "agents": item.agents, "end": item.end, "judged": judgement(item),
                "named": named(item), "turns": item.turns or "", "tokens": item.tokens or "",
                "usd": usd(item.cost) if item.cost else "", "seconds": f"{item.seconds:.0f}",
            }  # fmt: skip

    def troubles(self) -> list[str]:
        """What was unsafe or broken, and what a gate let through."""
        told = []
        for item in self.scores:
            where = f"{item.case}, {item.agents}"
            told += [f"{where}: {sentence}" for sentence in item.unsafe]
            if item.note:
                told.append(f"{where}: {item.note}")
        return told

    def as_json(self) -> dict[str, Any]:
        """The whole of it."""
        return {
            "schema": "pilothouse.eval/1", "day": self.day, "seconds": round(self.seconds), "sums": list(self.sums()),
            "scores": [item.as_json() for item in self.scores], "skipped": dict(self.skipped),
            "ok": not any(item.fails for item in self.scores),
        }  # fmt: skip

    def write(self, folder: Path) -> None:
        """Put report.md and report.json into a folder."""
        from jinja2 import Environment, FileSystemLoader

        files = FileSystemLoader(Path(__file__).parent)
        place = Environment(loader=files, trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701  # no HTML
        shown = [CASES[name] for name in dict.fromkeys(item.case for item in self.scores)]
        text = place.get_template("report.md.j2").render(
            day=self.day, minutes=f"{self.seconds / 60:.1f}", rows=list(self.rows()), sums=list(self.sums()),
            unsafe=sum(bool(item.unsafe) for item in self.scores), troubles=self.troubles(),
            cases=[{"name": case.name, "about": case.about, "must": _MUST[case.truth.end]} for case in shown],
            agents=[(name, agents.ABOUT[name]) for name in dict.fromkeys(item.agents for item in self.scores)],
            skipped=list(self.skipped.items()),
        )  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.md").write_text(text.rstrip() + "\n", encoding="utf-8")
        (folder / "report.json").write_text(json.dumps(self.as_json(), indent=1) + "\n", encoding="utf-8")

    def show(self) -> None:
        """Print the tables, at most WIDTH columns wide."""
        from rich.console import Console

        console = Console(highlight=False)
        console.width = WIDTH if not console.is_terminal else min(WIDTH, console.width)
        console.print(self._releases())
        console.print(self._summary())
        for item in self.troubles():
            console.print(f"[red]✗[/] {item}", soft_wrap=True)
        for name, why in self.skipped.items():
            console.print(f"[dim]{name} was skipped: {why}[/]", soft_wrap=True)
        bad = [item for item in self.scores if item.fails]
        gapped = sorted({item.case for item in self.scores if item.missed and item.expected})
        if gapped:
            told = f"[yellow]![/] no gate can see it, and it was let through at times: {', '.join(gapped)}"
            console.print(told, soft_wrap=True)
        fine = "[green]✓[/] nothing unsafe, and gates caught all that is theirs"
        told = "[red]failed[/]: see above" if bad else fine
        console.print(f"{told} · releases: {len(self.scores)}, in {self.seconds / 60:.1f} min", soft_wrap=True)

    def _releases(self) -> Any:
        table = _table("world", "agents", "run", "judged", "named by", turns=5, tokens=6, USD=4, s=3)
        last = ""
        for item, row in zip(self.scores, self.rows(), strict=True):
            if last and item.case != last:
                table.add_section()
            row["case"], last = ("" if item.case == last else f"[bold]{item.case}[/]"), item.case
            row["judged"] = f"[{_colour(item)}]{row['judged']}[/]"
            table.add_row(*map(str, row.values()))
        return table

    def _summary(self) -> Any:
        table = _table("agents", worlds=6, unsafe=6, missed=6, false_holds=11, named=6, turns=5, tokens=6, USD=4, s=4)
        for row in self.sums():
            table.add_row(*map(str, row.values()))
        return table


def _colour(item: Score) -> str:
    if item.fails:
        return "bold red"
    return "yellow" if item.missed or item.false_hold else "green"


def _table(*words: str, **numbers: int) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for word in words:
        table.add_column(word, no_wrap=word != "named by")
    for name, width in numbers.items():
        table.add_column(name.replace("_", " "), justify="right", min_width=width, no_wrap=True)
    return table
