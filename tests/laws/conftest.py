"""The tools' small real world, for the laws that the tools keep."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_FILE = Path(__file__).resolve().parent.parent / "tools" / "conftest.py"


def _tools_world():
    spec = spec_from_file_location("laws_tools_world", _FILE)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_WORLD = _tools_world()
small, still, do, allow = _WORLD.small, _WORLD.still, _WORLD.do, _WORLD.allow
