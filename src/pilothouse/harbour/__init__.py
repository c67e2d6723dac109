"""The sandbox world: a remote, a forge, checks and two environments that are as real as they can be on one machine."""

from __future__ import annotations

from pilothouse.harbour.ending import down, fault, settle
from pilothouse.harbour.faults import FAULTS
from pilothouse.harbour.world import Variant, World, load, up

__all__ = ["FAULTS", "Variant", "World", "down", "fault", "load", "settle", "up"]
