"""Laws about effects: closed, planned, gated, read back, contained."""

from __future__ import annotations

import base64
import json
import os
import posixpath
import quopri
import re
import sys
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from laws.worlds import FEW, LAW, approve, go, intents, production, state_of, world_of
from pilothouse.clearances import TOUCHED, clearance
from pilothouse.engine.advance import advance
from pilothouse.errors import ImpossibleHistory, ToolFailed
from pilothouse.guard.fold import fold
from pilothouse.held import weakness
from pilothouse.model import Kind, Observation, Verdict
from pilothouse.redaction import Redactor
from pilothouse_tools import child, grammar
from story import act, approved, chained, done, intended, opened, planned, started
from toyworld import ToyTools

SHA = "a" * 40
FITTING = {
    "sha": SHA, "ref": "main", "version": "1.4.0", "tag": "v1.4.0", "environment": "production", "suite": "e2e",
    "text": "x", "names": ["0001_a"], "labels": ["high"], "integer": 1, "flag": True, "object": {}, "key": "k-1",
}  # fmt: skip


def test_i01_only_a_declared_effect_with_declared_arguments_gets_through_the_door(still, tmp_path):
    # There is no clone at this place: whatever got as far as looking or acting would fail otherwise.
    box = still.toolbox(project=tmp_path / "nowhere")
    specs = box.specs()

    @LAW
    @given(
        st.sampled_from(sorted(specs)), st.text(min_size=1, max_size=12), st.sampled_from(["x", "; rm -rf /", 1, {}])
    )
    def holds(name, extra, value):
        spec = specs[name]
        assume(extra not in spec.arguments)
        call = (lambda *given: box.probe(*given, "k-1")) if spec.kind is Kind.ACT else box.observe
        arguments = {key: FITTING[wanted.type] for key, wanted in spec.arguments.items()}
        with pytest.raises(ToolFailed) as refused:
            call(name, {**arguments, extra: value})
        assert refused.value.reason_code == "bad-argument"
        with pytest.raises(ToolFailed) as refused:
            call(f"{name}{extra}", arguments)
        assert refused.value.reason_code == "unknown-tool"

    holds()


class Attacker:
    """An agent whose words somebody else chose."""

    def __init__(self, verdicts):
        self.verdicts, self.asked = verdicts, 0

    def verdict(self, step, evidence):
        self.asked += 1
        assert self.asked < 50, "asked again and again"
        return self.verdicts[(self.asked - 1) % len(self.verdicts)]


VERDICTS = st.builds(
    Verdict,
    st.sampled_from(["go", "hold", "GO", "approve", ""]),
    st.lists(st.text(max_size=20), max_size=2).map(tuple),
    st.sampled_from([(), (), ("e-001",), ("e-999",)]),
    st.sampled_from(["model", "guard"]),
)


@LAW
@given(st.lists(VERDICTS, min_size=1, max_size=3))
def test_i02_no_word_of_a_model_changes_what_is_done_but_by_stopping_it(verdicts):
    golden, attacked = world_of(), world_of(personas=Attacker(verdicts))
    go(golden)
    go(attacked)
    done_so_far = intents(attacked)
    assert done_so_far == intents(golden)[: len(done_so_far)]


STEPS = ("one", "two", "three", "four")
PLAN = planned(*map(act, STEPS), act("undo", branch="rollback"))
CARD = opened(plan=PLAN)


@LAW
@given(st.integers(0, 4), st.lists(st.sampled_from([*STEPS, "undo", "other"]), max_size=2))
def test_i03_acts_come_in_the_order_of_the_plan_and_each_at_most_once(done_so_far, then):
    order = [*STEPS[:done_so_far], *then]
    facts = [started(), PLAN, CARD, approved(CARD)]
    for number, step in enumerate(order):
        facts += [intended(PLAN, step, approval=CARD.approval_digest), done(step, f"e-{number}")]
    if tuple(order) == STEPS[: len(order)]:
        assert fold(chained(*facts)).open_act is None
    else:
        with pytest.raises(ImpossibleHistory):
            fold(chained(*facts))


class Showing(ToyTools):
    """An observation that says what it is told to say."""

    says = None

    def observe(self, name, arguments):
        return super().observe(name, arguments) if self.says is None else Observation(self.says)


@LAW
@given(
    st.one_of(
        st.none(), st.dictionaries(st.just("healthy"), st.sampled_from([True, False, 1, "yes", "true", None, []]))
    ),
    st.sampled_from([0, 600, 3600]),
)
def test_i04_no_act_without_its_gates_on_fresh_and_whole_evidence(says, waited):
    tools = Showing()
    world = world_of(tools)
    advance("r-1", world)
    approve(world)
    world.clock.slept += waited  # the evidence is good for a quarter of an hour
    tools.says = says
    advance("r-1", world)
    good = says is None or says.get("healthy") is True
    # What was seen before the approval still counts for a while; afterwards only what is seen now does.
    assert bool(production(tools)) == (good or waited < 900)
    early = Showing()
    early.says = says
    go(world_of(early))
    assert bool(early.calls) == good


class Silent(ToyTools):
    """Applying answers as if all were well; of some targets nothing happens."""

    quiet = frozenset()

    def apply(self, name, arguments, permit):
        target = f"{arguments['environment']}/{arguments['value']}"
        if target in self.quiet:
            self.calls[target] = self.calls.get(target, 0) + 1
        else:
            super().apply(name, arguments, permit)


TARGETS = ("staging/s", "production/1", "production/2", "production/3")


@LAW
@given(st.frozensets(st.sampled_from(TARGETS)), st.frozensets(st.sampled_from(TARGETS)))
def test_i05_only_what_was_read_back_is_done(quiet, lost):
    tools = Silent(lost=set(lost))
    tools.quiet = quiet
    world = world_of(tools)
    go(world)
    for step, known in state_of(world).acts.items():
        target = next(f"{i['environment']}/{i['value']}" for name, _, i, *_ in intents(world) if name == step)
        assert (known.done is not None) == (target in tools.world)


def test_i06_a_child_gets_its_arguments_unread_from_an_absolute_program_within_its_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trap = tmp_path / "bin" / "printf"
    trap.parent.mkdir()
    trap.write_text("#!/bin/sh\necho trapped\n")
    trap.chmod(0o755)
    words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)

    @FEW
    @given(st.lists(words, min_size=1, max_size=4), st.sampled_from(["bin", ".", "./bin", ""]))
    def holds(arguments, first):
        env = {"PATH": f"{first}:{os.environ['PATH']}"}
        done = child.run(["printf", "%s|", *arguments], cwd=tmp_path, env=env, timeout=20)
        assert done.argv0.startswith("/")
        assert done.stdout.decode() == "".join(f"{word}|" for word in arguments)

    holds()
    endless = [sys.executable, "-c", "import time\nprint('x' * 9000, flush=True)\ntime.sleep(600)"]
    ended = child.run(endless, cwd=tmp_path, env={}, timeout=1, output_cap=100)
    assert (ended.timed_out, ended.truncated) == (True, True)
    assert len(ended.stdout) < 200


def test_i07_a_child_sees_what_is_listed_and_the_variables_of_its_act(still):
    names = st.sampled_from(
        ["PATH", "LANG", "GH_TOKEN", "AWS_SECRET", "ANTHROPIC_API_KEY", "HOME", "LD_PRELOAD", "GIT_DIR", "ONE", "TWO"]
    )

    @LAW
    @given(st.dictionaries(names, st.just("v")), st.frozensets(st.sampled_from(["ONE", "TWO"])))
    def holds(environ, asked):
        given_on = still.context(environ=environ).child_environ(*asked)
        fixed = {"HOME", "TMPDIR", "GIT_CEILING_DIRECTORIES"}
        assert given_on.keys() - fixed <= {"PATH", "LANG", "LC_ALL", "TZ", *asked}
        assert all(given_on[name] == "v" for name in asked & environ.keys())
        assert given_on["HOME"] != "v"

    holds()


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=9, max_size=30)
LEAKS = {
    "raw": lambda s: s, "reversed": lambda s: s[::-1], "hex": lambda s: s.encode().hex(),
    "url": lambda s: quote(s, safe=""), "json": lambda s: json.dumps(s)[1:-1],
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "in a header": lambda s: base64.b64encode(b"user:" + s.encode()).decode(),
    "json of Go": lambda s: re.sub("[&<>=+']", lambda mark: f"\\u{ord(mark[0]):04x}", json.dumps(s)[1:-1]),
    "html": lambda s: re.sub(r"\W", lambda mark: f"&#{ord(mark[0])};", s),
    "quoted-printable": lambda s: quopri.encodestring(s.encode()).decode(),
    "csv": lambda s: s.replace('"', '""'),
    "coloured": lambda s: f"{s[:4]}\x1b[31m{s[4:]}",
    "lines of grep": lambda s: f"{s[:4]}\nfile.txt:12: {s[4:]}",
    "split over lines": lambda s: "\n".join(base64.b64encode(s.encode()).decode()[at : at + 7] for at in range(0, 80, 7)),
}  # fmt: skip


@LAW
@given(SECRETS, st.sampled_from(sorted(LEAKS)), st.text("xyz ", max_size=8))
def test_i08_no_form_of_a_held_secret_gets_through(secret, form, around):
    assume(not weakness(secret))  # an ordinary word is none; configuration says so where one is held
    leak = LEAKS[form](secret)
    shown = Redactor([("TOKEN", secret)])(f"{around}{leak}{around}")
    assert "[redacted TOKEN]" in shown
    assert leak not in shown
    assert secret not in shown


def test_i09_no_path_and_no_link_leads_out_of_the_repository(small):
    (small.clone / "link").symlink_to("/etc/passwd")
    (small.clone / "up").symlink_to("../..")
    sha = small.commit("feat: links", {"plain": "as it is"})
    repo = small.context().repo
    assert repo.file(sha, "plain") == b"as it is"
    for path in ("link", "up", "up/passwd", "../plain", "/etc/passwd", ".git/config", "a/../plain"):
        assert repo.file(sha, path) is None, path

    @LAW
    @given(st.text(alphabet="a./\\.gitGIT~1 -\0", max_size=30))
    def holds(text):
        if grammar.is_path(text):
            assert posixpath.normpath(posixpath.join("/r", text)).startswith("/r/")
            assert ".git" not in text.lower().split("/")

    holds()


PINS = st.dictionaries(st.sampled_from(["ref:main", "ref:tag", "pending:production"]), st.sampled_from("ab"))


@LAW
@given(PINS, PINS)
def test_i10_what_changed_since_the_approval_voids_it_and_nothing_happens(before, after):
    tools = ToyTools(pinned=dict(before))
    world = world_of(tools)
    advance("r-1", world)
    approve(world)
    tools.pinned = dict(after)
    standing = advance("r-1", world)
    if all(after[name] == before[name] for name in after.keys() & before.keys()):
        assert standing.state.standing() == "done"
    else:
        assert standing.wait.checkpoint == "go"
        assert production(tools) == []
        assert standing.state.checkpoints["go"].approved is None
        assert standing.state.checkpoints["go"].opened.difference


POLICY = """\
version: 1
products:
  acme:
    environments:
      production:
        url: https://acme.example
        deploy: {model: push, branch: deploy/production}
        health: {path: /health, version: /version}
approvers:
  - {id: ann, name: Ann, email: ann@acme.test, groups: [ceo, security], accounts: [ann]}
policy:
  approval: {group: ceo, number: 1, four_eyes: record}
  additional:
"""


class Base:
    """The base branch, as the tools read it; ``touched`` is None where the range cannot be looked at."""

    def __init__(self, text, touched):
        self.text, self.touched = text, touched

    def observe(self, name, arguments):
        match name:
            case "git.base":
                return Observation({"remote": "origin", "base": "main", "to_sha": SHA})
            case "git.touched" if self.touched is None:
                raise ToolFailed("git-failed", "the range cannot be read")
            case "git.touched":
                return Observation(dict(self.touched))
        return Observation({"found": True, "text": self.text if "pilothouse" in arguments["path"] else "steps"})


KINDS = st.frozensets(st.sampled_from(sorted(TOUCHED)))
FOUND = st.fixed_dictionaries({}, optional={name: st.sampled_from([[], ["a"], None, "all"]) for name in TOUCHED})


@LAW
@given(KINDS, st.one_of(st.none(), FOUND), st.booleans())
def test_i11_a_range_that_touches_the_rules_asks_for_one_more_approval(asked, touched, edited):
    text = POLICY + ("".join(f"    {name}: {{group: security, number: 1}}\n" for name in sorted(asked)) or "    {}\n")
    own = started(config_source=f"{text}# mine\n" if edited else text, workflow_source="steps")
    found = clearance(Base(text, touched), fold(chained(own)), "go", "pilothouse.yml")
    # A range that nobody could look at, or of which something is not told, counts as one that touches it; and rules that
    # stand in the working tree alone are rules that changed.
    due = {name for name in asked if touched is None or touched.get(name) != [] or (edited and name == "policy")}
    assert {need.why.partition(":")[0] for need in found.requires if need.group == "security"} == {
        TOUCHED[name] for name in due
    }
    assert any(need.group == "ceo" for need in found.requires)


@LAW
@given(st.sampled_from(["production/1", "production/2", "production/3"]), st.booleans())
def test_i12_the_way_back_touches_only_the_target_that_was_approved(breaks, changes):
    tools = ToyTools(breaks={breaks}, pinned={"identity:production": "db-1"})
    world = world_of(tools)
    advance("r-1", world)
    approve(world)

    def another_database(name, step):
        if changes and (name, step) == ("after-apply", {"1": "one", "2": "two", "3": "three"}[breaks[-1]]):
            tools.pinned["identity:production"] = "db-2"

    world.boundary = another_database
    standing = advance("r-1", world)
    undone = [target for target in tools.calls if "undo" in target]
    if breaks == "production/3":  # nothing is taken back for a seal that failed
        assert undone == []
    elif changes:
        assert (undone, standing.state.standing()) == ([], "halted")
    else:
        assert undone
        assert standing.state.standing() == "rolled-back"
