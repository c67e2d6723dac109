"""Entries that were set aside: written on this disk, and never taken by the remote that holds the ledger (ledger: git).

They are kept word for word, so that nothing anybody did or said is lost in silence; the ledger itself goes on without
them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pilothouse.errors import LedgerCorrupt
from pilothouse.events import (
    Aborted,
    Allowed,
    Approved,
    Done,
    Failed,
    HoldLifted,
    Intended,
    Locked,
    Overridden,
    Rejected,
    Settled,
    Unlocked,
    Validated,
)
from pilothouse.ledger.chain import decode

if TYPE_CHECKING:
    from pathlib import Path

    from pilothouse.ledger.chain import Row
    from pilothouse.ports import Head

FOLDER = "set-aside"


def keep(folder: Path, chain: str, rows: list[Row]) -> Path:
    """Write the rows of a chain's tail below a folder, durably, one entry's bytes a line; the file.

    The name tells the chain and the last entry. The same tail twice is one file.
    """
    place = folder / FOLDER
    place.mkdir(mode=0o700, exist_ok=True)
    seq, last, _ = rows[-1]
    file = place / f"{chain}-{seq:08d}-{last[:12]}.jsonl"
    part = file.with_suffix(".part")
    with part.open("wb") as out:
        out.writelines(data + b"\n" for _, _, data in rows)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)
    return file


def holds(folder: Path, chain: str, head: Head) -> bool:
    """Whether an entry was set aside: its chain was not tampered with, it gave way."""
    place = folder / FOLDER
    named = f"{chain}-"
    return place.is_dir() and any(
        _hash_is_in(file, head.hash) for file in place.iterdir() if file.name.startswith(named)
    )


def _hash_is_in(file: Path, wanted: str) -> bool:
    from hashlib import sha256

    with file.open("rb") as lines:
        return any(sha256(line.rstrip(b"\n")).hexdigest() == wanted for line in lines)


def demand_harmless(chain: str, common: Head, tail: list[Row]) -> None:
    """Refuse to set aside what moved something: under ``ledger: git`` no act is done whose intent is not on the remote.

    Raises:
        LedgerCorrupt: ``ledger-forked``.
    """
    intended: set[tuple[str, str]] = set()
    for _, _, data in tail:
        event = decode(data)
        match event.fact:
            case Intended(step=step):
                intended.add((event.run, step))
            case Done(step=step) | Failed(step=step) if (event.run, step) in intended:
                raise LedgerCorrupt(
                    "ledger-forked",
                    f"{chain} forks after entry {common.seq}: this disk and the remote both hold acts that the other "
                    "has not",
                    "Nothing was changed. Look at both (docs/ci.md): pilothouse audit verify; one of them must be kept "
                    "aside by a person",
                )
            case _:
                pass


_OF_PEOPLE = (Approved, Rejected, Aborted, HoldLifted, Settled, Overridden, Allowed, Locked, Unlocked, Validated)


def told(chain: str, tail: list[Row]) -> str:
    """What was set aside, and which of it people did: that must be done again."""
    facts = [decode(data).fact for _, _, data in tail]
    done = ", ".join(type(fact).__name__ for fact in facts if isinstance(fact, _OF_PEOPLE))
    again = f"; what people did among them counts only when it is done again: {done}" if done else ""
    return (
        f"somebody wrote to {chain} from another machine first: {len(tail)} entries made here were set aside "
        f"(.pilothouse/set-aside/){again}"
    )
