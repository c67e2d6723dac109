"""The types that the forge answers with: which there are, what fits them, what may stand for what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilothouse.harbour.forge.language import Declared, EnumValue, FieldType, Type, TypeRef, read_schema

Object = Mapping[str, Any]
INTROSPECTION = """
type __Type { kind: String! name: String fields(includeDeprecated: Boolean = false): [__Field!]
  enumValues(includeDeprecated: Boolean = false): [__EnumValue!] }
type __Field { name: String! }
type __EnumValue { name: String! }
"""
SCALARS: dict[str, tuple[type, ...]] = {
    "Int": (int,),
    "Float": (int, float),
    "String": (str,),
    "Boolean": (bool,),
    "ID": (str, int),
    "BigInt": (str, int),
    "DateTime": (str,),
    "URI": (str,),
    "HTML": (str,),
    "GitObjectID": (str,),
    "GitTimestamp": (str,),
    "GitRefname": (str,),
    "GitSSHRemote": (str,),
    "Base64String": (str,),
}


class Refused(Exception):
    """A field cannot be answered; the client is told in `errors`, and the field is null.

    Args:
        kind: GitHub's machine-readable type, such as NOT_FOUND.
    """

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


class Schema:
    """The types, and what each may stand for."""

    def __init__(self, text: str) -> None:
        self.types: dict[str, Type] = read_schema(text) | read_schema(INTROSPECTION)

    def kinds(self, name: str) -> set[str]:
        """The object types that a type may be."""
        type_ = self.types[name]
        if type_.kind == "union":
            return set(type_.members)
        if type_.kind == "interface":
            return {other.name for other in self.types.values() if name in other.interfaces}
        return {name}

    def is_leaf(self, name: str) -> bool:
        """Whether a value of this type has no fields."""
        return name in SCALARS or self.types[name].kind == "enum"

    def field(self, owner: str, name: str) -> FieldType | None:
        """A field of a type, with the ones that every type has."""
        if name == "__typename":
            return FieldType(TypeRef("String", required=True), {})
        if name == "__type" and owner == "Query":
            return FieldType(TypeRef("__Type"), {"name": Declared(TypeRef("String", required=True))})
        return self.types[owner].fields.get(name)

    def described(self, name: str) -> Object | None:
        """What `__type` answers."""
        type_ = self.types.get(name)
        if type_ is None:
            return None
        kinds = {"type": "OBJECT", "interface": "INTERFACE", "input": "INPUT_OBJECT", "union": "UNION", "enum": "ENUM"}
        fields = [{"__typename": "__Field", "name": field} for field in type_.fields]
        values = [{"__typename": "__EnumValue", "name": value} for value in type_.values]
        return {
            "__typename": "__Type",
            "kind": kinds[type_.kind],
            "name": name,
            "fields": lambda **_: fields if type_.fields else None,
            "enumValues": lambda **_: values if type_.values else None,
        }

    def coerce(self, value: Any, type_: TypeRef, where: str) -> Any:
        """The value as the type wants it.

        Raises:
            Refused: it is of another type.
        """
        if value is None:
            if type_.required:
                raise Refused(f"{where} of type {type_} was provided invalid value: expected value to not be null")
            return None
        if type_.item:
            items = value if isinstance(value, list) else [value]
            return [self.coerce(item, type_.item, where) for item in items]
        if type_.name in SCALARS:
            right = isinstance(value, SCALARS[type_.name]) and (type_.name == "Boolean" or not isinstance(value, bool))
            if not right:
                raise Refused(f"{where} of type {type_} was provided invalid value {value!r}")
            return value
        declared = self.types[type_.name]
        if declared.kind == "enum":
            text = value.name if isinstance(value, EnumValue) else value
            if text not in declared.values:
                raise Refused(f"{where}: expected {value!r} to be one of: {', '.join(declared.values)}")
            return text
        return self._object(value, declared, where)

    def _object(self, value: Any, declared: Type, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Refused(f"{where}: expected an object of type {declared.name}")
        if unknown := value.keys() - declared.inputs.keys():
            raise Refused(f"{where}: InputObject '{declared.name}' doesn't accept argument '{min(unknown)}'")
        return self.arguments(value, declared.inputs, where)

    def arguments(self, given: dict[str, Any], declared: Mapping[str, Declared], where: str) -> dict[str, Any]:
        """What was given, with defaults, as the declared types want it."""
        values = {}
        for name, wanted in declared.items():
            if name in given:
                values[name] = self.coerce(given[name], wanted.type, f"{where} {name}")
            elif wanted.has_default:
                values[name] = self.coerce(wanted.default, wanted.type, f"{where} {name}")
            elif wanted.type.required:
                raise Refused(f"{where} is missing required arguments: {name}")
        return values
