"""The JSON Schema of what an event model writes, in the words partners read and the checker compares."""

from __future__ import annotations

from typing import Any, cast

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from shared.contracts.event_model import EventPart, OpenEnum

Schema = dict[str, Any]

KNOWN_VALUES = "x-known-values"
DECIMAL_LIMITS = ("ge", "gt", "le", "lt", "multiple_of", "max_digits", "decimal_places")
WRITTEN: JsonSchemaMode = "serialization"
ANNOTATIONS = frozenset({"title", "description", "examples"})


class WireSchema(GenerateJsonSchema):
    """Pydantic's schema, told as the wire has it.

    An open enum is a string with the values known today in `x-known-values`: `enum` would make a validating
    reader refuse the values of tomorrow. A decimal is a string of format `decimal`, never a float, and keeps
    its limits as `x-ge`, `x-max_digits` and so on, because Pydantic leaves them out of what a model writes.
    """

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        result = super().enum_schema(schema)
        if issubclass(schema["cls"], OpenEnum):
            result[KNOWN_VALUES] = result.pop("enum")
        return result

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        limits = cast("dict[str, object]", schema)
        bounds = {f"x-{limit}": str(limits[limit]) for limit in DECIMAL_LIMITS if limits.get(limit) is not None}
        return {"type": "string", "format": "decimal", **bounds}


def wire_schema(model: type[EventPart]) -> Schema:
    """The canonical schema of `model`: references inlined, texts dropped, unordered lists sorted.

    Equal for two models exactly when the wire cannot tell them apart, so that a better docstring, a renamed
    class or a moved field is no new revision. Raises RecursionError for a model that contains itself.
    """
    schema = model.model_json_schema(mode=WRITTEN, schema_generator=WireSchema)
    return cast("Schema", _canonical(schema, schema.get("$defs", {})))


def _canonical(schema: Schema | bool, definitions: Schema) -> object:
    if isinstance(schema, bool):
        return schema
    target = definitions[schema["$ref"].removeprefix("#/$defs/")] if "$ref" in schema else {}
    return {
        word: _canonical_word(word, value, definitions)
        for word, value in (target | schema).items()
        if word not in ANNOTATIONS and word not in {"$defs", "$ref"}
    }


def _canonical_word(word: str, value: Any, definitions: Schema) -> object:
    match word:
        case "properties":
            return {name: _canonical(part, definitions) for name, part in value.items()}
        case "items" | "additionalProperties":
            return _canonical(value, definitions)
        case "anyOf":
            return [_canonical(branch, definitions) for branch in value]
        case "required" | "enum" | "x-known-values":
            return sorted(value)
        case _:
            return value
