"""What every mapping of pilothouse.yml has in common: strict, frozen, no unknown and no empty key."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from pilothouse.config.scalars import milliseconds


class Shape(BaseModel):
    """A mapping of pilothouse.yml."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)
    may_be_null: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: object) -> object:
        # Before everything else: a misspelt key must be called misspelt, not its right spelling missing.
        for key, value in data.items() if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                raise PydanticCustomError("unknown_key", "unknown key", {"key": key, "known": list(cls.model_fields)})
            # `forge:` with nothing behind it is a slip of the editor, never the wish to have none.
            if value is None and key not in cls.may_be_null:
                raise PydanticCustomError("empty_key", "empty key", {"key": key})
        return data


def duration(default: str, about: str) -> Any:
    """A field for a duration with its default as a person writes it."""
    return Field(default=milliseconds(default), description=about, json_schema_extra={"default": default})


def listing(about: str, *default: str) -> Any:
    """A field for a list, empty or with these defaults."""
    return Field(default_factory=lambda: list(default), description=about, json_schema_extra={"default": list(default)})
