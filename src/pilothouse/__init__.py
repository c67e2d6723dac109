"""Pilothouse: a release conductor. Agents propose, code decides, people approve, and everything is written down."""

from __future__ import annotations

__version__ = "0.1.0"
