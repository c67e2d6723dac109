"""What people see of a promotion: the card, the summary of a dry run, the report at its end."""

from __future__ import annotations

from pilothouse import config
from pilothouse import events as e
from pilothouse.cli.shipping import _plan_lines
from pilothouse.cli.surface import Surface
from pilothouse.events import Event
from pilothouse.guard.fold import fold, step_on
from pilothouse.guard.state import RunState
from pilothouse.render.card import HEIGHT, WIDTH, render_card
from pilothouse.render.course import Times
from pilothouse.render.promotion import summary
from pilothouse.render.report import ending
from pilothouse.render.screen import flat
from playbook.samples import CONFIG
from story import SHA, chained, observed, started

PULLS = [
    {"number": 230 + n, "title": f"feat: number {n}", "author": "kofi", "url": "", "merged_at": "", "reviewers": ["ada"],
     "reviewed": n != 2, "archive": "" if n == 1 else f"archives/pr-{230 + n}.md", "tickets": [] if n == 3 else ["ACME-1"]}
    for n in range(1, 10)
]  # fmt: skip
CONTENTS = {
    "commits": [], "pulls": PULLS, "tickets": ["ACME-1", "ACME-2"], "missing_archives": [231], "unreviewed": [232],
    "unlinked": [{"sha": "b" * 40, "subject": "oops", "author": "lin"}],
    "areas": [{"area": "shop", "files": 2, "insertions": 10, "deletions": 3}],
    "counts": {"commits": 12, "pulls": 9, "tickets": 2, "files": 4, "insertions": 56, "deletions": 11},
}  # fmt: skip
TICKETS = {"tickets": [
    {"key": "ACME-1", "found": True, "title": "Search is slow", "status": "Done", "url": ""},
    {"key": "ACME-2", "found": False, "title": "", "status": "", "url": ""},
], "missing": ["ACME-2"], "server": "linear", "tool": "get_issue"}  # fmt: skip
PROMOTION = {
    "branch": "staging",
    "base": "main",
    "head_sha": SHA,
    "base_sha": "1" * 40,
    "ahead": 12,
    "behind": 0,
    "on": "staging",
}
WAITING = {
    "pulls": [{"number": 240, "title": "feat: dark \x1b[31mhomepage", "author": "noor", "url": "", "draft": False}]
}


def state(**more: dict[str, object]) -> RunState:
    facts = {
        "promotion": ("git.promotion", PROMOTION), "live": ("deploy.current", {"version": "1.3.0", "sha": "1" * 40}),
        "version": ("version.named", {"version": "1.4.0"}), "contents": ("audit.contents", CONTENTS),
        "tickets": ("tickets.look", TICKETS), "waiting-pulls": ("forge.pulls_into", WAITING),
        **{step: ("x.y", item) for step, item in more.items()},
    }  # fmt: skip
    seen = [
        observed(step, f"e-{number:03d}", item, tool=tool)
        for number, (step, (tool, item)) in enumerate(facts.items(), 1)
    ]
    events: list[Event] = chained(started(workflow="promote-audited"), *seen)
    return fold(events)


def card(of: RunState) -> str:
    product = config.parse(CONFIG).products["acme"]
    acts = [
        {"step": "promote", "tool": "git.promote", "branch": "main", "arguments": {"into": "main", "commit": SHA}},
        {"step": "comment", "tool": "tickets.comment", "branch": "main", "arguments": {"keys": ["ACME-1", "ACME-2"]}},
        {"step": "failure-outcome", "tool": "record.write", "branch": "failure", "arguments": {"kind": "outcome"}},
    ]
    return render_card(of, product, {"plan": "a" * 64, "acts": acts, "evidence": {}})


def text(lines) -> str:
    return "\n".join(flat(line) for line in lines)


def test_the_summary_shows_contents_tickets_warnings_and_compliance():
    shown = text(summary(state(), 80))
    assert "acme: staging → main   1111111 →" in shown and "1.3.0 → 1.4.0" in shown
    assert "12 commits · 9 PRs · 2 tickets · 4 files (+56 −11)" in shown
    for number in range(231, 240):
        assert f"#{number}" in shown
    assert "NO ARCHIVE" in shown and "NOT APPROVED" in shown and "NOT FOUND" in shown
    for told in ("ticket not found: ACME-2", "no archive: #231", "commit without a PR: bbbbbbb", "#240 feat: dark"):
        assert told in shown
    for box in (
        "✘ CI not green",
        "✘ archives 8/9",
        "✘ tickets 1/2",
        "✘ 1 commit without a PR",
        "✘ 1 PR without a ticket",
    ):
        assert box in " ".join(shown.split())
    assert "\x1b" not in shown


def test_a_crowded_card_counts_what_it_leaves_out():
    shown = card(state())
    lines = shown.splitlines()
    assert len(lines) <= HEIGHT and max(map(len, lines)) <= WIDTH
    assert "more" in shown and "#231" in shown and "ticket not found: ACME-2" in shown


def test_the_card_of_a_promotion_says_what_it_does_and_nothing_that_does_not_apply():
    shown = card(state())
    assert "move main forward to" in shown and "comment once on 2 tickets" in shown
    assert "Watch" not in shown and "only if it goes wrong" not in shown
    assert "a revert on staging" in shown


def test_the_report_says_what_moved_where_its_record_is_and_who_was_told():
    done = {
        "promote": {"sha": SHA, "branch": "main"}, "deployment": {"url": "https://shop.test", "state": "success"},
        "comment": {"commented": ["ACME-1"]}, "outcome": {"path": "releases/2026/11/acme-2026-11-21-01", "url": "x"},
    }  # fmt: skip
    made = state(**done)
    ended = e.Event("acme", 99, "", made.run, "2026-11-21T10:00:00.000000+00:00", e.Ended("done", "finished"), "")
    shown = text(ending(step_on(made, ended), Times(), 80))
    for told in ("acme 1.4.0 is live", "main  1111111 →", "12 commits · 9 PRs · 2 tickets", "https://shop.test",
                 "releases/2026/11/acme-2026-11-21-01", "commented: ACME-1", "ticket not found: ACME-2"):  # fmt: skip
        assert told in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_dry_run_shows_the_whole_summary_and_how_to_execute_it():
    shown = text(_plan_lines(Surface(), state(), (), ""))
    assert "12 commits · 9 PRs" in shown and "#239" in shown
    assert "Execute it  pilothouse ship acme --workflow promote-audited" in shown
