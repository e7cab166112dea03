"""May services be deployed in any order? Full compatibility of two revisions of one event type.

Full means both ways: the reader of the old revision understands what the new one writes, and the reverse.
What remains allowed is adding an optional field and adding a value to an open enum. Everything else is a new
event type, `….v2`, published beside the old one until its last reader is gone.

The checker is closed over the part of JSON Schema that `wire_schema` produces for our models: a keyword it
does not know raises Unsupported instead of passing unseen. Rules inside a Python validator are invisible to
any schema; the frozen examples are the guard against those.
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.contracts.wire import DECIMAL_LIMITS, KNOWN_VALUES, Schema

ABSENT = "absent"
NULL: Schema = {"type": "null"}

# Looser breaks the old reader, tighter breaks the new one, and another default rewrites what old events said.
FIXED = frozenset(
    {"type", "format", "pattern", "enum", "const", "default", "uniqueItems"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
    | {f"x-{limit}" for limit in DECIMAL_LIMITS}
)
NESTING = frozenset({"properties", "required", "items", "additionalProperties", "anyOf", KNOWN_VALUES})


class Unsupported(ValueError):
    """A schema outside the part of JSON Schema whose evolution this module understands."""


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """Why readers and writers of the two revisions cannot be mixed; empty when they can.

    Each entry is `<path>: <what changed>`. Both are canonical schemas (see `wire_schema`), `old` the earlier.
    Raises Unsupported.
    """
    check_supported(old)
    check_supported(new)
    return list(_compare(old, new, "data"))


def check_supported(schema: object, at: str = "data") -> None:
    """Raises Unsupported, with the path, for a keyword or a shape that the checker does not understand."""
    if not isinstance(schema, dict):
        raise Unsupported(f"{at}: {schema!r} is not a schema with keywords")
    if unknown := sorted(schema.keys() - FIXED - NESTING):
        raise Unsupported(f"{at}: unsupported keywords {', '.join(unknown)}")
    if "anyOf" in schema:
        _check_nullable(schema, at)
    elif not isinstance(schema.get("type"), str):
        raise Unsupported(f"{at}: a schema of any type")
    for path, part in _parts(schema, at):
        check_supported(part, path)


def _check_nullable(schema: Schema, at: str) -> None:
    branches = schema["anyOf"]
    if len(branches) != 2 or branches[1] != NULL or schema.keys() - {"anyOf", "default"}:
        raise Unsupported(f"{at}: a union other than `X | None`")


def _parts(schema: Schema, at: str) -> Iterator[tuple[str, object]]:
    for name, part in schema.get("properties", {}).items():
        yield f"{at}.{name}", part
    if "items" in schema:
        yield f"{at}[]", schema["items"]
    if "additionalProperties" in schema:
        yield f"{at}{{}}", schema["additionalProperties"]
    if "anyOf" in schema:
        yield at, schema["anyOf"][0]


def _compare(old: Schema, new: Schema, at: str) -> Iterator[str]:
    for word in sorted(FIXED):
        before, after = old.get(word, ABSENT), new.get(word, ABSENT)
        if before != after:
            yield f"{at}: {word} was {before!r}, is {after!r}"
    yield from _compare_known_values(old, new, at)
    yield from _compare_fields(old, new, at)
    for word, path in (("items", f"{at}[]"), ("additionalProperties", f"{at}{{}}"), ("anyOf", at)):
        if (word in old) != (word in new):
            yield f"{at}: {word} was {'there' if word in old else ABSENT}, is not any more so"
        elif word in old:
            before, after = old[word], new[word]
            yield from _compare(*(before[0], after[0]) if word == "anyOf" else (before, after), path)


def _compare_known_values(old: Schema, new: Schema, at: str) -> Iterator[str]:
    if (KNOWN_VALUES in old) != (KNOWN_VALUES in new):
        yield f"{at}: an open enum became another kind of text, or the reverse"
    elif gone := set(old.get(KNOWN_VALUES, ())) - set(new.get(KNOWN_VALUES, ())):
        yield f"{at}: values removed: {', '.join(sorted(gone))}"


def _compare_fields(old: Schema, new: Schema, at: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
    for name in before:
        if name not in after:
            yield f"{at}.{name}: removed (a renamed field is one removed and one added)"
            continue
        if (name in needed_before) != (name in needed_after):
            became = "optional" if name in needed_before else "required"
            yield f"{at}.{name}: became {became}"
        yield from _compare(before[name], after[name], f"{at}.{name}")
    for name in needed_after - before.keys():
        yield f"{at}.{name}: added as required; a new field needs a default"
