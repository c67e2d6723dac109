"""The tools' small real world, for looks that go through the real tools."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_FILE = Path(__file__).resolve().parent.parent / "tools" / "conftest.py"


def _tools_world():
    spec = spec_from_file_location("agents_tools_world", _FILE)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


small = _tools_world().small
