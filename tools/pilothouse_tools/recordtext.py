"""A release record as Markdown, for people: derived from the JSON alone, foreign text escaped, long tables counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pilothouse_tools.text import markdown

if TYPE_CHECKING:
    from pilothouse.canonical import Json

_MOST_ROWS = 200
_SHORT = 12
_FOUND = {True: "yes", False: "no", None: "not asked"}


def as_markdown(record: Mapping[str, Json]) -> str:
    """The record's Markdown; the same for the same record.

    Args:
        record: checked against its schema.
    """
    r: Mapping[str, Any] = record
    heading = "Intent" if r["kind"] == "intent" else "Outcome"
    parts = [
        f"# {markdown(r['release'])}: {heading.lower()} record",
        (f"{heading} of the run `{r['run']}` ({markdown(r['workflow']['title'])}) of {markdown(r['title'])}. "
        "Derived from the JSON file beside it, which is what counts."),
        _facts(r),
        _outcome(r),
        _section("Exceptions", ("Kind", "What"), [(x["kind"], x["what"]) for x in r["exceptions"]], "None."),
        _section(
            "Approvals", ("Checkpoint", "Who", "Known by", "Channel", "When", "Word", "Approval digest"),
            [(a["checkpoint"], _person(a["who"], a), a["authentication"], a["channel"], a["at"],
              f"{a['word']['presented']} / {a['word']['entered']}" if a["word"] else "", a["digest"][:_SHORT])
             for a in r["approvals"]],
            "Nobody approved anything.",
        ),
        _section(
            "Pull requests",
            ("No.", "Title", "Author", "Merged", "Reviewed by", "Head merged", "Head reviewed", "Archive"),
            [(f"#{p['number']}", p["title"], p["author"], p["merged_at"], ", ".join(p["reviewers"]),
              p["head_sha"][:_SHORT], p["reviewed_sha"][:_SHORT], _archive(p)) for p in r["pulls"]],
        ),
        _section(
            "Tickets", ("Key", "Title", "Status", "Found"),
            [(t["key"], t["title"], t["status"], _FOUND[t["found"]]) for t in r["tickets"]],
        ),
        _section("Commits without a pull request", ("Commit", "Subject", "Author"),
                 [(c["sha"][:_SHORT], c["subject"], c["author"]) for c in r["unlinked"]]),
        _section("Changes by area", ("Area", "Files", "Added", "Removed"),
                 [(a["area"], a["files"], a["insertions"], a["deletions"]) for a in r["areas"]]),
        _section("Checks", ("Name", "Result", "Commit"),
                 [(c["name"], c["result"], c["sha"][:_SHORT]) for c in r["checks"]]),
        _section("Artefacts", ("Step", "Environment", "Version", "Digest"),
                 [(a["step"], a["environment"], a["version"], a["digest"]) for a in r["artefacts"]]),
        _section("Migrations", ("Step", "Environment", "Names"),
                 [(m["step"], m["environment"], ", ".join(m["names"])) for m in r["migrations"]]),
        _section("Backups", ("Step", "Environment", "Key", "Bytes", "SHA-256"),
                 [(b["step"], b["environment"], b["key"], b["bytes"], b["sha256"]) for b in r["backups"]]),
        _plan(r),
        _section("Acts", ("Step", "Tool", "State", "When", "What"),
                 [(a["step"], a["tool"], a["state"], a["ended_at"], a["summary"]) for a in r["acts"]]),
        _section("Evidence", ("Id", "Step", "Tool", "Environment", "When", "Digest", "Summary"),
                 [(x["id"], x["step"], x["tool"], x["environment"], x["at"], x["digest"][:_SHORT], x["summary"])
                  for x in r["evidence"]]),
        "## Ledger\n\n" + f"Chain `{r['ledger']['chain']}`, entry {r['ledger']['seq']}, hash `{r['ledger']['head']}`.",
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _person(who: str, named: Mapping[str, str]) -> str:
    known = " ".join(part for part in (named["name"], f"<{named['email']}>" if named["email"] else "") if part)
    return f"{who} ({known})" if known else who


def _archive(pull: Mapping[str, Any]) -> str:
    looked = pull["reviewed"] is not None
    return str(pull["archive"]) or ("missing" if looked else "")


def _facts(r: Mapping[str, Any]) -> str:
    one, other, c = r["from"], r["to"], r["counts"]
    rows = [
        ("Started", f"{r['started']['at']} by {_person(r['started']['by'], r['started'])}, {r['started']['channel']}"),
        ("From", f"{one['ref']} {one['sha']} {one['version']}"),
        ("To", f"{other['ref']} {other['sha']} {other['version']}"),
        ("Contents", f"{c['commits']} commits, {c['pulls']} pull requests, {c['tickets']} tickets"),
        ("Changes", f"{c['files']} files, +{c['insertions']} −{c['deletions']}"),
        ("Composed", r["composed_at"]),
    ]  # fmt: skip
    return _table(("", ""), rows)


def _outcome(r: Mapping[str, Any]) -> str:
    found = r["outcome"]
    if found is None:
        return ""
    lines = [f"**{found['state']}**"]
    if found["reason"]:
        lines.append(f"{markdown(found['reason'], 1000)} ({markdown(found['reason_code'])})")
    if found["deployment"]:
        made = found["deployment"]
        lines.append(f"Deployment {markdown(made['id'])} to {markdown(made['environment'])}: {markdown(made['state'])}")
    return "## Outcome\n\n" + "\n\n".join(lines)


def _plan(r: Mapping[str, Any]) -> str:
    if r["plan"] is None:
        return ""
    rows = [(a["step"], a["tool"], a["reach"], a["checkpoint"], a["branch"]) for a in r["plan"]["acts"]]
    acts = _section("Plan", ("Step", "Tool", "Reach", "Checkpoint", "Branch"), rows, "No acts.")
    return f"{acts}\n\nPlan digest `{r['plan']['digest']}`."


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], none: str = "") -> str:
    if not rows:
        return f"## {title}\n\n{none}" if none else ""
    return f"## {title} ({len(rows)})\n\n{_table(columns, rows)}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(markdown(str(cell)) for cell in row) + " |" for row in rows[:_MOST_ROWS]]
    if len(rows) > _MOST_ROWS:
        lines.append(f"\n{len(rows) - _MOST_ROWS} more are in the JSON file.")
    return "\n".join(lines)
