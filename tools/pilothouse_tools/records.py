"""Release records: what a release is called, and where its record lies on the audit branch."""

from __future__ import annotations

import re

from pilothouse.errors import ToolFailed

KINDS = ("intent", "outcome")
ROOT = "releases"  # the folder of all records on the audit branch
_RUN = re.compile(
    r"r-([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])-[0-9]{2,6})(?:-([A-Za-z0-9][A-Za-z0-9_-]{0,63}))?"
)
_RELEASE = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9_-]{0,63})-([0-9]{4})-(0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])-[0-9]{2,6}"
)


def release_id(product: str, run: str) -> str:
    """What the release of a run is called: ``r-2026-11-21-01`` of acme is ``acme-2026-11-21-01``.

    The product at the run's end (``r-2026-11-21-01-acme``: there are several products) is not said twice.

    Raises:
        ToolFailed: ``bad-argument``: the run is no run of the product.
    """
    found = _RUN.fullmatch(run)
    if found is None or found[2] not in {None, product}:
        raise ToolFailed("bad-argument", f"{run[:80]!r} is no run of {product}")
    return f"{product}-{found[1]}"


def folder_of(release: str) -> str:
    """The folder of a release's record on the audit branch: ``releases/2026/11/acme-2026-11-21-01``.

    By year and month, so that no tree of the branch grows with the number of all releases.

    Raises:
        ToolFailed: ``bad-argument``: this is no release id.
    """
    found = _RELEASE.fullmatch(release)
    if found is None:
        raise ToolFailed("bad-argument", f"{release[:80]!r} is no release id", "for example: acme-2026-11-21-01")
    return f"{ROOT}/{found[2]}/{found[3]}/{release}"
