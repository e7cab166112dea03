"""Data that a writer of a frozen revision could have written, and the judge of whether data fits one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from shared.contracts.wire import KNOWN_VALUES, Schema

FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _is_moment(text: object) -> bool:
    return not isinstance(text, str) or datetime.fromisoformat(text).tzinfo is not None


@FORMATS.checks("decimal", raises=ArithmeticError)
def _is_decimal(text: object) -> bool:
    return not isinstance(text, str) or Decimal(text).is_finite()


def misfits(schema: Schema, data: object) -> list[str]:
    """Why data does not fit the schema, formats included; empty when it fits."""
    validator = Draft202012Validator(schema, format_checker=FORMATS)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]


def written_by(schema: Schema) -> st.SearchStrategy[Any]:
    """Any data that fits the schema, optional fields left out at will, unknown fields and values included."""
    if "anyOf" in schema:
        return st.none() | written_by(schema["anyOf"][0])
    return STRATEGIES[schema["type"]](schema)


def _text(schema: Schema) -> st.SearchStrategy[str]:
    match schema.get("format"):
        case "date-time":
            return st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
        case "decimal":
            return st.decimals(-(10**9), 10**9, allow_nan=False).map(str)
        case _:
            return st.sampled_from(schema.get(KNOWN_VALUES, [""])) | st.text()


def _object(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    needed = set(schema.get("required", ()))
    fields = {name: written_by(part) for name, part in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: field for name, field in fields.items() if name in needed},
        optional={name: field for name, field in fields.items() if name not in needed}
        | {"未来的字段": st.integers() | st.text() | st.none()},
    )


STRATEGIES: dict[str, Callable[[Schema], st.SearchStrategy[Any]]] = {
    "string": _text,
    "object": _object,
    "array": lambda schema: st.lists(written_by(schema["items"]), max_size=3),
    "integer": lambda schema: st.integers(-(2**53), 2**53),
    "boolean": lambda _: st.booleans(),
    "number": lambda schema: st.floats(schema.get("minimum"), schema.get("maximum"), allow_nan=False),
}
