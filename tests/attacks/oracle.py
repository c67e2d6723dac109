"""What must be true after any sequence, checked by a second mind: from the raw ledger and the effects that landed.

Written from the laws (I3, I4, I10, I14 to I16, I25, I27, RB-3) and not from the guard: it shares no code with ``guard``
or ``engine``, parses the entries' bytes itself and knows the workflow by heart. What it needs of the truth outside (what
the base branch said when, which words were shown to whom) the game wrote down.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from hashlib import sha256

from attacks.hostile_world import MAX_AGE, PEOPLE, signature

# step: tool, environment, value, checkpoint, branch
ACTS = {
    "stage": ("set", "staging", "stage", None, "main"),
    "one": ("set", "production", "one", "go", "main"),
    "merge": ("merge", "production", "merge", "go", "main"),
    "two": ("settle", "production", None, "go", "main"),
    "three": ("seal", "production", None, "go", "main"),
    "publish": ("publish", "production", "publish", "go", "main"),
    "undo-two": ("set", "production", "back-2", "go", "rollback"),
    "undo-one": ("set", "production", "back-1", "go", "rollback"),
}
ORDER = tuple(ACTS)
WINDOW = timedelta(seconds=60)
WORD_LIFE = timedelta(minutes=15)
OVER = {"Aborted", "Rejected", "CheckpointExpired", "Ended", "Superseded"}


def digest(value):
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).hexdigest()


class Line:
    """One run's entries: number, kind, payload, time."""

    def __init__(self, run, rows):
        self.run = run
        self.rows = [(row["seq"], row["kind"], row["data"], datetime.fromisoformat(row["at"])) for row in rows]

    def before(self, seq, *kinds, **fields):
        """Entries up to a number, of these kinds and with these fields; oldest first."""
        return [
            row
            for row in self.rows
            if row[0] <= seq
            and (not kinds or row[1] in kinds)
            and all(row[2].get(name) == value for name, value in fields.items())
        ]

    def fact(self, seq, reference):
        """What ``step.fact`` was worth at a moment."""
        step, _, name = reference.partition(".")
        found = self.before(seq, "Observed", "Done", "Settled", step=step)
        found = [row for row in found if row[1] != "Settled" or row[2]["presence"] == "applied"]
        return found[-1][2]["facts"].get(name) if found else None

    def worth(self, seq, value):
        if isinstance(value, dict) and isinstance(value.get("ref"), str) and value.keys() <= {"ref", "type"}:
            return self.fact(seq, value["ref"])
        return value


def lines_of(journal, chain="acme"):
    """The entries of each run, from their bytes."""
    found = {}
    for _, _, data in journal.entries(chain):
        row = json.loads(data)
        if row["run"] != "_product":
            found.setdefault(row["run"], []).append(row)
    return {run: Line(run, rows) for run, rows in found.items()}


def violations(game):
    """Every law that a game broke, one line each; empty when it broke none."""
    lines = lines_of(game.journal)
    wrong = []
    for effect in game.tools.landed:
        line = lines.get(effect.run)
        told = _of_effect(effect, line, game) if line else ["it belongs to no run"]
        wrong += [f"{effect.run} {effect.arguments.get('slot')}: {why}" for why in told]
    wrong += _at_most_once(game.tools.landed, lines)
    for line in lines.values():
        wrong += [f"{line.run}: {why}" for why in (*_plans(line), *_approvals(line, game), *_course(line))]
    return wrong


def _of_effect(effect, line, game):
    step = effect.arguments.get("slot")
    if step not in ACTS:
        return ["no workflow has this act"]
    tool, environment, value, checkpoint, branch = ACTS[step]
    arguments = effect.arguments
    if (effect.tool, arguments.get("environment")) != (tool, environment):
        return ["it is another act than the workflow's"]
    if value is not None and arguments.get("value") != value:
        return ["its value is not the workflow's"]
    intents = line.before(effect.rows, "Intended", step=step, key=effect.key, tool=tool)
    plans = line.before(effect.rows, "Planned")
    if not intents or not plans:
        return ["it landed before its intent or its plan was on the record"]
    seq, _, intent, _ = intents[-1]
    planned = next((act for act in plans[-1][2]["acts"] if act["step"] == step), None)
    if planned is None:
        return ["it is not in the plan"]
    told = []
    if intent["arguments"] != arguments or intent["plan_digest"] != plans[-1][2]["digest"]:
        told.append("it is not what was intended")
    told += [
        f"{name} is not what the plan says"
        for name, planned_value in planned["arguments"].items()
        if line.worth(seq, planned_value) != arguments.get(name)
    ]
    told += _order(line, effect, step, branch)
    told += _gates(line, effect, step)
    if (
        effect.frozen
        and branch == "main"
        and not line.before(seq - 1, "Intended", approval_digest=intent["approval_digest"])
    ):
        told.append("nothing may ship at that time")
    if checkpoint is not None:
        told += _cleared(line, effect, seq, planned, game)
    return told


def _order(line, effect, step, branch):
    """In the order of its branch, of which the run is in (I3); never after the end, nor while the run rests (I16)."""
    told = []
    for earlier in ORDER[: ORDER.index(step)]:
        done = line.before(effect.rows, "Done", step=earlier) or line.before(
            effect.rows, "Settled", step=earlier, presence="applied"
        )
        skipped = line.before(effect.rows, "Skipped", step=earlier) and ACTS[earlier][4] == "rollback"
        if ACTS[earlier][4] == branch and not (done or skipped):
            told.append(f"{earlier} comes before it")
    branched = bool(line.before(effect.rows, "Branched"))
    if branched != (branch == "rollback"):
        told.append("the run was on another branch")
    if line.before(effect.rows, *OVER):
        told.append("the run was over")
    resting = line.before(effect.rows, "Refused", "Halted", "Resumed", "Settled")
    if resting and resting[-1][1] in {"Refused", "Halted"}:
        told.append("the run was resting")
    return told


def _gates(line, effect, step):
    """Every gate on the way there passed, on evidence that was there and fresh (I4); holds hold (AGT-3)."""
    told = []
    if step == "one":
        looks = line.before(effect.rows, "Observed", step="look")
        if not looks or looks[-1][2]["facts"].get("healthy") is not True:
            told.append("the gate did not pass: the last look was not healthy")
        elif effect.decided - looks[-1][3] > timedelta(seconds=MAX_AGE + 1):
            told.append("the gate was judged on evidence that was too old")
    told += _verdict(line, effect.rows, "ready", "look")
    if step in {"three", "publish"}:
        told += _verdict(line, effect.rows, "verified", "after")
        if not line.before(effect.rows, "WatchClosed", outcome="healthy"):
            told.append("the watch was left out")
    return told


def _verdict(line, seq, name, source):
    given = line.before(seq, "VerdictGiven", step=name)
    if not given:
        return [f"the verdict {name} was left out"]
    told = []
    if given[-1][2]["answer"] != "go" and not line.before(seq, "HoldLifted", step=name):
        told.append(f"{name} holds")
    for at, _, verdict, _ in given:
        looks = line.before(at, "Observed", step=source)
        if not looks or looks[-1][2]["facts"].get("healthy") is not True:
            told.append(f"the gate of {name} did not pass")
        known = {row[2]["evidence"] for row in line.before(at, "Observed", "Done", "Sampled")}
        if not set(verdict["cites"]) <= known:
            told.append(f"{name} cites what does not exist")
    return told


def _cleared(line, effect, seq, planned, game):
    """Approved before it was intended, by enough people, for exactly this, and the world still the approved one."""
    cards = line.before(seq, "CheckpointOpened", checkpoint="go")
    if not cards:
        return ["nobody was asked"]
    opened_at, _, card, _ = cards[-1]
    given = [row for row in line.before(seq, "Approved") if row[0] > opened_at]
    told = []
    if any(row[0] > opened_at for row in line.before(seq, "CardVoided")):
        told.append("its card was taken back")
    voided = [row for row in line.before(seq, "Failed", reason_code="plan-changed") if row[0] > opened_at]
    if voided and not line.before(voided[-1][0], "Branched"):
        told.append("its approval was void")
    policy = next(
        (item for run, _, item in game.issued if run == line.run and _says(card["basis"]["clearance"], item)), None
    )
    if policy is None:
        told.append("the card asks for another clearance than the base branch")
    else:
        for place, (group, number) in enumerate(policy.requires):
            seen = [row[2] for row in given if not place or row[2]["authentication"] != "standing"]  # I11, I21
            people = {fact["who"] for fact in seen if group in PEOPLE[fact["who"]].groups}
            if len(people) < number:
                told.append(f"{number} of {group} were needed, {len(people)} approved")
    shown = next((act for act in card["basis"]["acts"] if act["step"] == effect.arguments["slot"]), None)
    if shown is None:
        return [*told, "the card does not show it"]
    for name, value in effect.arguments.items():
        on_card = shown["arguments"].get(name)
        if on_card not in (value, {"sha256": digest(value)}, planned["arguments"][name]):
            told.append(f"{name} is not what the card shows")
        text_body = name == "body"
        if text_body and on_card not in (value, {"sha256": digest(value)}):
            told.append(f"{name} was not known to the card")
    if planned["branch"] == "main":
        before = card["pins"].get(effect.arguments["slot"], {})
        for pin, value in effect.pins.items():
            moved = [
                row[2]["moves"][pin]
                for row in line.before(seq, "Done")
                if row[0] > opened_at and pin in row[2]["moves"]
            ]
            if value != (moved[-1] if moved else before.get(pin)):
                told.append(f"{pin} had changed since it was approved")
    return told


def _says(found, policy):
    return (
        [(item["group"], item["number"]) for item in found["requires"]] == list(policy.requires)
        and [item["id"] for item in found["approvers"]] == list(policy.members)
        and found["authentications"] == list(policy.authentications)
        and found["four_eyes"] == policy.four_eyes
    )


def _at_most_once(landed, lines):
    told = []
    for (run, step), times in Counter((item.run, item.arguments.get("slot")) for item in landed).items():
        line = lines.get(run)
        # A person who says wrongly that it did not happen lets it happen again, by name and on the record.
        allowed = 1 + (len(line.before(2**53, "Settled", step=step, presence="absent")) if line else 0)
        if times > allowed:
            told.append(f"{run} {step}: it landed {times} times, {allowed} at most")
    return told


def _plans(line):
    plans = [row[2] for row in line.rows if row[1] == "Planned"]
    if len(plans) > 1:
        yield "it was planned twice"
    for plan in plans:
        if digest({"acts": plan["acts"], "basis": plan["basis"]}) != plan["digest"]:
            yield "the plan's digest is another's"
        for act in plan["acts"]:
            tool, environment, _, checkpoint, branch = ACTS.get(act["step"], (None,) * 5)
            stated = (act["tool"], act["arguments"].get("environment"), act["reach"], act["checkpoint"], act["branch"])
            if stated != (tool, environment, environment, checkpoint, branch):
                yield f"the plan holds another act {act['step']} than the workflow"


def _approvals(line, game):
    """Each approval ever recorded: by whom the base branch named then, known as it must be, for the open card."""
    card = None
    used = set()
    for seq, kind, fact, at in line.rows:
        if kind == "CheckpointOpened":
            card = (seq, fact)
            if digest(fact["basis"]) != fact["approval_digest"]:
                yield "a card's digest is not that of what was shown"
        elif kind == "CardVoided":
            card = None
        elif kind == "Rejected" and card:
            names = {item["id"] for item in card[1]["basis"]["clearance"]["approvers"]}
            if fact["who"] not in names | {card[1]["basis"]["clearance"]["starter"]}:
                yield f"{fact['who']} rejected, who may not"
        elif kind in {"Settled", "HoldLifted"}:
            if fact["who"] not in [item for after, item in game.policies if after < seq][-1].members:
                yield f"{kind} by {fact['who']}, who is no approver"
        elif kind == "Approved":
            yield from (f"approval {seq}: {why}" for why in _forged(line, game, card, used, seq, fact, at))


def _forged(line, game, card, used, seq, fact, at):
    if card is None or fact["approval_digest"] != card[1]["approval_digest"]:
        return ["it is of no open card"]
    who = PEOPLE.get(fact["who"])
    policy = [item for after, item in game.policies if after < seq][-1]
    told = []
    if who is None or who.id not in policy.members:
        return [f"{fact['who']!r} is no approver"]
    if not any(group in who.groups for group, _ in policy.requires):
        told.append("in no group that is asked")
    if at >= datetime.fromisoformat(card[1]["expires_at"]):
        told.append("the card had expired")
    if [row for row in line.before(seq - 1, "Approved", who=who.id) if row[0] > card[0]]:
        told.append("they had approved already")
    starter = next(row[2] for row in line.rows if row[1] == "Started")["started_by"]
    if starter in (who.id, *who.accounts) and (policy.four_eyes == "require" or not fact["exception"]):
        told.append("of their own run")
    if fact["authentication"] not in policy.authentications:
        told.append("known in a way that policy does not take")
    match fact["authentication"]:
        case "account":
            told += _by_word(line, game, card, used, seq, at, who)
        case "ssh-signature":
            said = f"pilothouse approval 1\nrun {line.run}\ncheckpoint go\ndigest {fact['approval_digest']}\n".encode()
            if fact["signature"] != signature(said, who.key):
                told.append("the signature is not theirs")
        case "standing":
            entries = [until for approver, until in policy.standing if approver == who.id]
            if not any(at < datetime.fromisoformat(until) for until in entries):
                told.append("no standing approval is in force")
            if len(line.before(seq, "CheckpointOpened")) > 1 or not fact["exception"]:
                told.append("a standing approval has not seen this card")
        case other:
            told.append(f"nobody is known by {other!r}")
    return told


def _by_word(line, game, card, used, seq, at, who):
    spent = [row for row in line.before(seq, "WordSpent", matched=True) if row[0] > card[0] and row[0] not in used]
    if not spent:
        return ["no word was entered for it"]
    number, _, word, _ = spent[-1]
    used.add(number)
    told = []
    drawn = [row for row in line.before(number, "WordDrawn") if row[0] > card[0]]
    if word["entered"] != word["presented"] or not drawn:
        told.append("what was entered is not the word")
    elif at >= drawn[-1][3] + WORD_LIFE + timedelta(seconds=1):
        told.append("the word was too old")
    if not any((line.run, account, word["presented"]) in game.prompted for account in who.accounts):
        told.append("the word was shown to somebody else")
    return told


def _course(line):
    """Words are few (I15), rejections last (I16), watches are whole (I25), a rollback is never rolled back (RB-3)."""
    wrong = [
        row
        for row in line.before(2**53, "WordSpent", matched=False)
        if row[2]["entered"] not in ("", row[2]["presented"])
    ]
    if len(wrong) > 3:
        yield "more than three wrong words"
    if len(line.before(2**53, "Branched")) > 1:
        yield "it branched twice"
    for seq, _, fact, at in line.before(2**53, "WatchClosed", outcome="healthy"):
        opened = line.before(seq, "WatchOpened", step=fact["step"])
        if not opened or at < opened[-1][3] + WINDOW:
            yield "the watch was shortened"
    over = [row for row in line.rows if row[1] in OVER]
    if over and [row for row in line.rows if row[0] > over[0][0] and row[1] not in {"Done", "Failed", "Notified"}]:
        yield "something followed its end"
    intents = Counter((row[2]["step"], row[2]["attempt"]) for row in line.rows if row[1] == "Intended")
    if any(times > 1 for times in intents.values()):
        yield "an attempt was counted twice"
