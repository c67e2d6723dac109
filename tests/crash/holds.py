"""Holds: the sandbox's own hooks, made to wait at a chosen moment, so that a kill lands inside a real child on purpose.

A hold stops the remote's side of a push before it takes effect (``before``) or after it took effect and before the
answer (``after``); likewise the backup of production's database. The hook that waits is a child of the conductor's
child, as a slow remote's would be.
"""

from __future__ import annotations

import os
import shlex

_PUSH = """\
#!/bin/sh
# The updates are kept: the wrapped hook reads them on its standard input, and its parent must stay git.
updates={folder}/updates.$$
cat > "$updates"
hold() {{
  [ -f {folder}/{name} ] && grep -q -F -f {folder}/{name} "$updates" || return 0
  : > {folder}/held
  while [ -f {folder}/{name} ]; do sleep 0.02; done
}}
{body}
"""
_BODY = {"before": 'hold\nexec "$0.sandbox" < "$updates"', "after": '"$0.sandbox" < "$updates"\nhold'}
_BACKUP = """\
#!/bin/sh
PATH=/usr/bin:/bin
"$0.sandbox" "$@" || exit $?
[ -f {folder}/{name}-backup ] || exit 0
: > {folder}/held
while [ -f {folder}/{name}-backup ]; do sleep 0.02; done
"""


class Holds:
    """The holds of one world; none is on until it is asked for."""

    def __init__(self, world):
        self.folder = world.folder / "holds"
        self.folder.mkdir()
        quoted = shlex.quote(str(self.folder))
        for name, hook in (("before", "pre-receive"), ("after", "post-receive")):
            text = _PUSH.format(folder=quoted, name=name, body=_BODY[name])
            _wrap(world.origin / "hooks" / hook, text)
            _wrap(world.folder / "production" / "hooks" / f"{name}-backup", _BACKUP.format(folder=quoted, name=name))

    def on(self, name, what=""):
        """Wait from now on: ``before`` or ``after`` a push that updates a ref named ``what``, or ``…-backup``."""
        aside = self.folder / "aside"
        aside.write_text(f"{what}\n")
        aside.replace(self.folder / name)

    @property
    def held(self):
        """Whether somebody waits."""
        return (self.folder / "held").exists()

    def off(self):
        """Let everything through again."""
        for file in self.folder.iterdir():
            file.unlink()


def _wrap(hook, text):
    hook.rename(hook.with_name(f"{hook.name}.sandbox"))
    hook.write_text(text)
    os.chmod(hook, 0o755)
