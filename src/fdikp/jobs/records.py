"""Frozen dataclasses as JSON, checked field by field as they come back."""

import json
import os
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from fdikp.errors import ArgumentError, RequestError

_Record = TypeVar("_Record", bound="JsonRecord")


class JsonRecord:
    """Base of frozen dataclasses that travel as JSON objects.

    Fields may be of the types `str`, `int`, `float`, `bool`, `Path`, `Literal[...]` of strings, `tuple[str, ...]`, and
    of any of these or `None`.
    """

    def to_json(self) -> str:
        """One line of JSON: an object with every field, in their order. Names that are not valid text are escaped."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return json.dumps(values, default=str, allow_nan=False)

    @classmethod
    def from_json(cls: type[_Record], text: str | bytes) -> _Record:
        """Read what `to_json` wrote; fields that are left out take their defaults.

        Raises:
            RequestError: not a JSON object, or a field is unknown, missing, or of the wrong type; one line names it.
        """
        try:
            values = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"{cls.__name__}: not valid JSON ({error})") from None
        if not isinstance(values, dict):
            raise RequestError(f"{cls.__name__}: must be a JSON object, not {_json_name(values)}")
        types_by_name = _field_types(cls)
        if unknown := sorted(values.keys() - types_by_name.keys()):
            raise RequestError(
                f"{cls.__name__}: unknown field {unknown[0]!a}; the fields are {', '.join(types_by_name)}"
            )
        for field in fields(cls):  # type: ignore[arg-type]
            if field.name not in values and field.default is MISSING and field.default_factory is MISSING:
                raise RequestError(f"{cls.__name__}: the field '{field.name}' is missing")
        converted = {}
        for name, value in values.items():
            try:
                converted[name] = _converted(value, types_by_name[name])
            except TypeError:
                allowed = _type_names(types_by_name[name], none="null")
                raise RequestError(
                    f"{cls.__name__}: the field '{name}' must be {allowed}, not {_json_name(value)}"
                ) from None
        return cls(**converted)

    def convert_fields(self) -> None:
        """Check the type of each field, for `__post_init__`; strings become paths, and integers numbers.

        Raises:
            ArgumentError: a field is of the wrong type; one line names it.
        """
        for name, expected in _field_types(type(self)).items():
            value = getattr(self, name)
            plain = os.fspath(value) if isinstance(value, os.PathLike) else value
            plain = list(plain) if isinstance(plain, tuple) else plain
            try:
                object.__setattr__(self, name, _converted(plain, expected))
            except TypeError:
                allowed = _type_names(expected, none="None")
                raise ArgumentError(f"must be {allowed}", argument=name, value=value) from None


def _field_types(cls: type) -> Mapping[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _converted(value: Any, expected: Any) -> Any:
    """A JSON value as a field's type; raises TypeError if it is not of that type."""
    for option in _options(expected):
        if option is type(None) and value is None:
            return None
        if option is Path and isinstance(value, str) and value and "\0" not in value:
            return Path(value)
        if get_origin(option) is Literal and isinstance(value, str) and value in get_args(option):
            return value
        if get_origin(option) is tuple and isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        if option in (str, bool) and isinstance(value, option):
            return value
        number = None if isinstance(value, bool) else value
        if option is int and isinstance(number, Integral):
            return int(number)
        if option is float and isinstance(number, Real):
            return float(number)
    raise TypeError


def _options(expected: Any) -> tuple[Any, ...]:
    """The members of a union; any other type alone."""
    return get_args(expected) if get_origin(expected) in (Union, types.UnionType) else (expected,)


def _type_names(expected: Any, none: str) -> str:
    """A field's type in words."""
    return " or ".join(none if option is type(None) else _type_name(option) for option in _options(expected))


def _type_name(option: Any) -> str:
    if get_origin(option) is Literal:
        return "one of " + ", ".join(get_args(option))
    if get_origin(option) is tuple:
        return "a list of strings"
    return {
        Path: "a path",
        str: "a string",
        int: "an integer",
        float: "a number",
        bool: "true or false",
    }[option]


def _json_name(value: Any) -> str:
    """A short, one-line name of a JSON value."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
