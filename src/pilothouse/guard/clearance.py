"""Clearance: who may approve a checkpoint, and when enough of them have (APR-4, I14). Pure.

What is needed is part of what was shown: the card's basis holds it under ``clearance``, read from the protected base
branch when the card was rendered. So an approval is bound to it, and the fold can judge every approval ever recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pilothouse.canonical import Json
from pilothouse.events import Approved
from pilothouse.model import Approver, Refuse

STANDING, ACCOUNT, SIGNATURE = "standing", "account", "ssh-signature"  # how an approver was known
ELICITED = "elicited"  # by the word of an agent chat's client, which nobody can check
WORDLESS = frozenset({STANDING, SIGNATURE})  # these need no word: a file on the base, or a key, says who it was
FOUR_EYES = ("require", "record")


@dataclass(frozen=True, slots=True)
class Requirement:
    """So many distinct people of a group, and why."""

    group: str
    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Clearance:
    """All that a checkpoint needs.

    Attributes:
        requires: every one of these must be met; the first is asked of every release, the others of what it touches.
        approvers: nobody else may approve; none means nobody.
        authentications: how an approver may be known here.
        four_eyes: ``require``: whoever started the run cannot approve it; ``record``: then it is an exception.
        starter: who started the run: an approver's id where the account is one's, else as recorded.
        source: where this was read: the commit of the base branch.
    """

    requires: tuple[Requirement, ...]
    approvers: tuple[Approver, ...]
    authentications: tuple[str, ...]
    four_eyes: str
    starter: str
    source: str

    def as_json(self) -> dict[str, Json]:
        """As the card's basis holds it."""
        return {
            "requires": [{"group": item.group, "number": item.number, "why": item.why} for item in self.requires],
            "approvers": [
                {
                    "id": item.id, "groups": list(item.groups), "accounts": list(item.accounts), "key": item.key,
                    "name": item.name, "email": item.email,
                }
                for item in self.approvers
            ],
            "authentications": list(self.authentications),
            "four_eyes": self.four_eyes,
            "starter": self.starter,
            "source": self.source,
        }  # fmt: skip

    def approver(self, who: str) -> Approver | None:
        """The approver of an id."""
        return next((item for item in self.approvers if item.id == who), None)


def clearance_of(basis: Mapping[str, Json]) -> Clearance | None:
    """The clearance that a card's basis holds; None where it holds none that can be understood: then nobody may."""
    found = basis.get("clearance")
    if not isinstance(found, dict):
        return None
    try:
        return Clearance(
            tuple(Requirement(_text(i, "group"), _count(i), _text(i, "why")) for i in _rows(found, "requires")),
            tuple(
                Approver(
                    _text(i, "id"), _texts(i, "groups"), _texts(i, "accounts"), _text(i, "key"), _text(i, "name"),
                    _text(i, "email"),
                )
                for i in _rows(found, "approvers")
            ),
            _texts(found, "authentications"), _text(found, "four_eyes"), _text(found, "starter"),
            _text(found, "source"),
        )  # fmt: skip
    except (KeyError, TypeError):
        return None


def _rows(found: Mapping[str, Json], name: str) -> list[dict[str, Json]]:
    rows = found[name]
    if not isinstance(rows, list):
        raise TypeError(name)
    found_rows = [row for row in rows if isinstance(row, dict)]
    if len(found_rows) != len(rows):
        raise TypeError(name)
    return found_rows


def _text(row: Mapping[str, Json], name: str) -> str:
    value = row[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _texts(row: Mapping[str, Json], name: str) -> tuple[str, ...]:
    value = row[name]
    if not isinstance(value, list):
        raise TypeError(name)
    return tuple(str(item) for item in value)


def _count(row: Mapping[str, Json]) -> int:
    number = row["number"]
    if type(number) is not int or number < 1:
        raise TypeError("number")
    return number


def may_approve(clearance: Clearance | None, given: Iterable[Approved], who: str, authentication: str) -> Refuse | None:
    """Whether one person's approval counts here; None means yes."""
    if clearance is None or not clearance.requires or not clearance.approvers:
        hint = "name approvers in pilothouse.yml on the base branch (docs/approvals.md); an empty list means nobody"
        return Refuse("nobody-may-approve", "no approver is configured on the base branch, so nobody may approve", hint)
    approver = clearance.approver(who)
    if approver is None:
        known = ", ".join(item.id for item in clearance.approvers)
        return Refuse("not-an-approver", f"{who} is no approver of this product", f"approvers: {known}")
    if authentication not in clearance.authentications:
        wanted = " or ".join(clearance.authentications) or "nothing"
        return Refuse(
            "authentication-refused", f"{who} is known here by {authentication}, and policy takes {wanted}",
            "sign the approval: pilothouse approve RUN --key FILE",
        )  # fmt: skip
    asked = clearance.requires[:1] if authentication == STANDING else clearance.requires
    if not any(item.group in approver.groups for item in asked):
        groups = ", ".join(sorted({item.group for item in asked}))
        return Refuse("wrong-group", f"{who} is in none of the groups that are asked: {groups}")
    before = [item for item in given if item.who == who]
    # Whose standing approval stands here may still look themselves, where something asks for that.
    looks = authentication != STANDING and any(item.group in approver.groups for item in clearance.requires[1:])
    if before and not (looks and all(item.authentication == STANDING for item in before)):
        return Refuse("approved-before", f"{who} has approved already; another person is needed")
    if is_own(clearance, who) and clearance.four_eyes == "require":
        return Refuse(
            "four-eyes", f"{who} started this run, and policy asks for a second person", "ask another approver"
        )
    return None


def outdated(shown: Clearance, now: Clearance, people: Iterable[str]) -> Refuse | None:
    """Whether the base branch asks for something else now than the card says; None means no.

    Args:
        shown: on the card.
        now: by the base branch as it is.
        people: who approves now, and who has approved this card before.
    """
    for who in people:
        if shown.approver(who) != now.approver(who):
            return Refuse(
                "approver-changed", f"{who} changed on the base branch since the card (groups, accounts, key)",
                "this card is out of date; the next one says what changed",
            )  # fmt: skip
    asked, told = ({(item.group, item.number) for item in each.requires} for each in (now, shown))
    if asked - told or (shown.four_eyes, shown.starter) != (now.four_eyes, now.starter):
        return Refuse(
            "clearance-changed", "the base branch asks for another approval now than the card says",
            "this card is out of date; the next one says what changed",
        )  # fmt: skip
    return None


def differences(shown: Clearance | None, now: Clearance | None) -> tuple[str, ...]:
    """What a card says of who must approve and is not so any more, one line each; empty where nothing differs."""
    if shown is None or now is None:
        return () if shown is now else ("who may approve changed on the base branch",)
    lines = [f"needed now, too: {_row(item)}" for item in now.requires if item not in shown.requires]
    lines += [f"no longer needed: {_row(item)}" for item in shown.requires if item not in now.requires]
    for who in dict.fromkeys(item.id for item in (*shown.approvers, *now.approvers)):
        before, after = shown.approver(who), now.approver(who)
        if before is None:
            lines.append(f"{who} is an approver now")
        elif after is None:
            lines.append(f"{who} is no approver any more")
        elif before != after:
            lines.append(f"{who} changed on the base branch (groups, accounts or key)")
    if shown.authentications != now.authentications:
        lines.append(f"approvals count by {' or '.join(now.authentications)} now")
    if shown.four_eyes != now.four_eyes:
        may = "may not approve" if now.four_eyes == "require" else "may approve"
        lines.append(f"who started the run {may} now")
    return tuple(lines)


def _row(item: Requirement) -> str:
    return f"{item.number} of {item.group} ({item.why})"


def is_own(clearance: Clearance, who: str) -> bool:
    """Whether an approver would approve what they started themselves."""
    return who == clearance.starter


def may_reject(clearance: Clearance | None, who: str) -> bool:
    """Whether a person's rejection ends the run: any approver's does, and the starter's own."""
    return clearance is not None and (clearance.approver(who) is not None or who == clearance.starter)


def missing(clearance: Clearance, given: Iterable[Approved]) -> tuple[str, ...]:
    """What is still needed, one line a requirement; empty when the checkpoint is cleared."""
    approvals = tuple(given)
    lines = []
    for number, item in enumerate(clearance.requires):
        # What a release touches no standing approval has seen (I11, I21): it counts for the first requirement alone.
        people = {each.who for each in approvals if number == 0 or each.authentication != STANDING}
        counted = sum(1 for who in people if (known := clearance.approver(who)) and item.group in known.groups)
        if counted < item.number:
            lines.append(f"{item.number - counted} of {item.group} ({item.why})")
    return tuple(lines)


def statement(run: str, checkpoint: str, approval_digest: str) -> bytes:
    """The bytes that an SSH signature covers: which run, which checkpoint, and the digest of all that was shown."""
    return f"pilothouse approval 1\nrun {run}\ncheckpoint {checkpoint}\ndigest {approval_digest}\n".encode()


NAMESPACE = "pilothouse-approval"
