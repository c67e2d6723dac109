"""The real command with one probe broken on purpose: deploy.apply always says that nothing is there (a meta test)."""

from __future__ import annotations

import dataclasses
import sys

from pilothouse.cli.main import main
from pilothouse.model import Presence, Probe
from pilothouse_tools import toolbox

if __name__ == "__main__":
    sound = toolbox._ACTORS["deploy.apply"]
    assert sound.verify, "reading back stays sound: only the look before the act is broken"
    blind = dataclasses.replace(sound, probe=lambda *_: Probe(Presence.ABSENT, "nothing to see"))
    toolbox._ACTORS = {**toolbox._ACTORS, "deploy.apply": blind}
    main(sys.argv[1:])
