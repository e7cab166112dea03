"""The compatibility checker: what it must refuse, what it must let pass, what it must not pretend to know."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, ConfigDict, Field, ValidationError, create_model

from shared.contracts import PUBLISHED, EventPart, OpenEnum
from shared.contracts import __main__ as command
from shared.contracts.compatibility import Unsupported, check_supported, incompatibilities
from shared.contracts.frozen import Broken, broken_promises, freeze, history, unfrozen
from shared.contracts.wire import Schema, wire_schema


class State(OpenEnum):
    OPEN = "open"
    CLOSED = "closed"
    OTHER = "other"


class StateGrown(OpenEnum):
    CLOSED = "closed"
    OPEN = "open"
    REOPENED = "reopened"
    OTHER = "other"


class StateShrunk(OpenEnum):
    OPEN = "open"
    OTHER = "other"


class Spot(EventPart):
    """A place."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    address: str = ""


class SpotGrown(EventPart):
    """The same place, said better."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    address: str = ""
    floor: int | None = None


class SpotWithoutAddress(EventPart):
    latitude: Annotated[float, Field(ge=-90, le=90)]


class SpotTightened(EventPart):
    latitude: Annotated[float, Field(ge=26, le=90)]
    address: str = ""


FIELDS: dict[str, Any] = {
    "case": (Annotated[str, Field(max_length=40)], ...),
    "number": (int, ...),
    "state": (State, ...),
    "spot": (Spot, ...),
    "points": (Annotated[Decimal, Field(ge=0, decimal_places=2)], Decimal(0)),
    "photos": (tuple[str, ...], ()),
    "unit": (str | None, None),
    "tally": (dict[str, int], {}),
    "history": (tuple[State, ...], ()),
    "way": (Literal["day", "night"], "day"),
    "due_at": (AwareDatetime | None, None),
}
EXAMPLE = {"case": "20260401-000127", "number": 1, "state": "open", "spot": {"latitude": 26.9}}


def model(**changes: Any) -> type[EventPart]:
    """The event with some fields changed; a field changed to None is gone."""
    fields = {name: field for name, field in (FIELDS | changes).items() if field is not None}
    return create_model("CaseFact", __base__=EventPart, **fields)


BREAKING = {
    "a required field removed": ({"case": None}, "data.case: removed"),
    "an optional field removed": ({"unit": None}, "data.unit: removed"),
    "renamed": ({"unit": None, "department": (str | None, None)}, "data.unit: removed"),
    "retyped": ({"number": (str, ...)}, "data.number: type was 'integer', is 'string'"),
    "integer widened": ({"number": (float, ...)}, "data.number: type was 'integer', is 'number'"),
    "decimal turned text": ({"points": (str, "0")}, "data.points: format was 'decimal', is 'absent'"),
    "moment turned text": ({"due_at": (str | None, None)}, "data.due_at: format was 'date-time', is 'absent'"),
    "made nullable": ({"number": (int | None, ...)}, "data.number: type was 'integer', is 'absent'"),
    "null refused": ({"unit": (str, "")}, "data.unit: anyOf"),
    "made required": ({"unit": (str | None, ...)}, "data.unit: became required"),
    "made optional": ({"number": (int, 0)}, "data.number: became optional"),
    "added as required": ({"channel": (str, ...)}, "data.channel: added as required"),
    "default changed": ({"photos": (tuple[str, ...], ("none",))}, "data.photos: default was"),
    "list turned map": ({"photos": (dict[str, str], {})}, "data.photos: type was 'array', is 'object'"),
    "items retyped": ({"photos": (tuple[int, ...], ())}, "data.photos[]: type was 'string'"),
    "values of a map retyped": ({"tally": (dict[str, str], {})}, "data.tally{}: type was 'integer'"),
    "bound added": ({"number": (Annotated[int, Field(ge=1)], ...)}, "data.number: minimum was 'absent'"),
    "length tightened": ({"case": (Annotated[str, Field(max_length=8)], ...)}, "data.case: maxLength was 40"),
    "length loosened": ({"case": (str, ...)}, "data.case: maxLength was 40, is 'absent'"),
    "decimal's bound tightened": (
        {"points": (Annotated[Decimal, Field(ge=1, decimal_places=2)], Decimal(0))},
        "data.points: x-ge was '0', is '1'",
    ),
    "list's length bounded": (
        {"photos": (Annotated[tuple[str, ...], Field(max_length=9)], ())},
        "data.photos: maxItems was 'absent', is 9",
    ),
    "enum value removed": ({"state": (StateShrunk, ...)}, "data.state: values removed: closed"),
    "enum value removed in a list": (
        {"history": (tuple[StateShrunk, ...], ())},
        "data.history[]: values removed: closed",
    ),
    "open enum turned text": ({"state": (str, ...)}, "data.state: an open enum became another kind"),
    "closed enum grown": ({"way": (Literal["day", "dusk", "night"], "day")}, "data.way: enum was"),
    "nested field removed": ({"spot": (SpotWithoutAddress, ...)}, "data.spot.address: removed"),
    "nested bound tightened": ({"spot": (SpotTightened, ...)}, "data.spot.latitude: minimum was -90"),
}

BENIGN = {
    "nothing": {},
    "an optional field": {"channel": (str, "citizen")},
    "an optional nested object": {"seen_at": (SpotGrown | None, None)},
    "an enum value": {"state": (StateGrown, ...)},
    "an enum value in a list": {"history": (tuple[StateGrown, ...], ())},
    "an optional field deep inside": {"spot": (SpotGrown, ...)},
}


@pytest.mark.parametrize(("change", "reason"), BREAKING.values(), ids=BREAKING)
def test_a_breaking_change_is_refused_in_both_directions(change: dict[str, Any], reason: str) -> None:
    found = incompatibilities(wire_schema(model()), wire_schema(model(**change)))
    assert any(line.startswith(reason) for line in found), found


@pytest.mark.parametrize("change", BENIGN.values(), ids=BENIGN)
def test_a_benign_change_passes_and_readers_and_writers_mix(change: dict[str, Any]) -> None:
    old, new = model(), model(**change)
    assert incompatibilities(wire_schema(old), wire_schema(new)) == []
    for writer, reader in ((old, new), (new, old)):
        written = writer.model_validate(EXAMPLE).model_dump_json()
        assert reader.model_validate_json(written).model_dump(include=set(FIELDS)) == reader.model_validate(
            EXAMPLE
        ).model_dump(include=set(FIELDS))


def test_better_texts_and_another_order_are_no_change() -> None:
    class CaseSaidBetter(EventPart):
        """A longer docstring."""

        unit: str | None = Field(None, title="责任单位", description="谁来办")
        case: str

    class Case(EventPart):
        case: str
        unit: str | None = None

    assert wire_schema(Case) == wire_schema(CaseSaidBetter)


def test_a_field_may_bear_the_name_of_a_keyword() -> None:
    def named(kind: Any) -> Schema:
        return wire_schema(create_model("Named", __base__=EventPart, title=(kind, ...), required=(str, "")))

    assert set(named(str)["properties"]) == {"title", "required"}
    assert incompatibilities(named(str), named(int)) != []


def parts(schema: Schema) -> Iterator[Schema]:
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())[:1]]
    for part in [*inner, *(schema[word] for word in ("items", "additionalProperties") if word in schema)]:
        yield from parts(part)


@pytest.mark.parametrize("event_type", PUBLISHED)
def test_no_field_of_a_real_event_can_go_or_change_unseen(event_type: str) -> None:
    frozen = history(event_type)[-1]
    for index, part in enumerate(parts(frozen)):
        for name in part.get("properties", {}):
            without = copy.deepcopy(frozen)
            del list(parts(without))[index]["properties"][name]
            assert incompatibilities(frozen, without) != [], name
        if "type" in part:
            retyped = copy.deepcopy(frozen)
            list(parts(retyped))[index]["type"] = "boolean" if part["type"] != "boolean" else "string"
            assert incompatibilities(frozen, retyped) != [], part


class Closed(EventPart):
    model_config = ConfigDict(extra="forbid")
    case: str


@pytest.mark.parametrize(
    "unsupported",
    [
        wire_schema(model(unit=(int | str, 0))),
        wire_schema(model(unit=(str | int | None, None))),
        wire_schema(model(unit=(tuple[int, str], (1, "")))),
        wire_schema(model(unit=(Any, None))),
        wire_schema(model(unit=(Closed | None, None))),
        {"type": ["string", "null"]},
        {"type": "object", "properties": {"case": True}},
        {"type": "object", "properties": {"case": {"type": "string", "contentEncoding": "base64"}}},
        {"type": "array", "items": {"type": "object", "patternProperties": {}}},
    ],
)
def test_what_the_checker_does_not_know_is_an_error(unsupported: Schema) -> None:
    supported = wire_schema(model())
    with pytest.raises(Unsupported):
        check_supported(unsupported)
    with pytest.raises(Unsupported):
        incompatibilities(supported, unsupported)
    with pytest.raises(Unsupported):
        incompatibilities(unsupported, supported)


@pytest.mark.parametrize("value", [5, None, True, ["open"], {"open": 1}])
def test_an_open_enum_is_open_for_strings_only(value: object) -> None:
    with pytest.raises(ValidationError):
        model().model_validate_json(json.dumps(EXAMPLE | {"state": value}))
    with pytest.raises(ValidationError):
        model().model_validate(EXAMPLE | {"state": value})


def test_an_open_enum_reads_unknown_values_wherever_it_stands() -> None:
    read = model().model_validate_json(json.dumps(EXAMPLE | {"state": "？", "history": ["open", "", "重开"]}))
    assert read.model_dump(include={"state", "history"}) == {
        "state": State.OTHER,
        "history": (State.OPEN, State.OTHER, State.OTHER),
    }


def test_an_open_enum_must_have_a_place_for_the_unknown() -> None:
    with pytest.raises(TypeError, match="OTHER"):

        class Shut(OpenEnum):
            OPEN = "open"


def test_freezing_adds_revisions_and_never_rewrites_one(tmp_path: Path) -> None:
    first, second = model(), model(channel=(str, "citizen"))
    assert freeze({"t.v1": first}, tmp_path) == [tmp_path / "t.v1" / "1.json"]
    assert freeze({"t.v1": first}, tmp_path) == []
    promised = (tmp_path / "t.v1" / "1.json").read_bytes()
    assert freeze({"t.v1": second}, tmp_path) == [tmp_path / "t.v1" / "2.json"]
    assert (tmp_path / "t.v1" / "1.json").read_bytes() == promised
    assert history("t.v1", tmp_path) == [wire_schema(first), wire_schema(second)]


def test_revisions_are_ordered_as_numbers(tmp_path: Path) -> None:
    fields: dict[str, Any] = {}
    for revision in range(1, 12):
        fields[f"added_{revision}"] = (str, "")
        freeze({"t.v1": model(**fields)}, tmp_path)
    assert [len(schema["properties"]) - len(FIELDS) for schema in history("t.v1", tmp_path)] == list(range(1, 12))


def test_a_break_with_any_revision_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    freeze({"t.v1": model(channel=(str, ""))}, tmp_path)
    freeze({"t.v1": model(channel=(str, ""), floor=(int, 0))}, tmp_path)
    broken = {"new.v1": model(), "t.v1": model(channel=(int, 0), floor=(int, 0))}
    with pytest.raises(Broken) as refusal:
        freeze(broken, tmp_path)
    assert len([line for line in refusal.value.reasons if line.startswith("t.v1: data.channel: type")]) == 2
    assert [folder.name for folder in tmp_path.iterdir()] == ["t.v1"]


def test_a_field_that_was_dropped_cannot_come_back_as_something_else(tmp_path: Path) -> None:
    for revision, schema in enumerate((model(floor=(int, 0)), model(), model(floor=(str, ""))), 1):
        file = tmp_path / "t.v1" / f"{revision}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(wire_schema(schema)), encoding="utf-8")
    reasons = broken_promises({"t.v1": model(floor=(str, ""))}, tmp_path)
    assert "t.v1: data.floor: type was 'integer', is 'string'" in reasons
    assert any(reason.startswith("t.v1: data.floor: removed") for reason in reasons)


def test_a_published_type_cannot_vanish(tmp_path: Path) -> None:
    freeze({"t.v1": model()}, tmp_path)
    assert broken_promises({}, tmp_path) == ["t.v1: frozen, but no model publishes it any more"]


def test_a_type_that_was_never_frozen_is_found(tmp_path: Path) -> None:
    assert unfrozen({"t.v1": model()}, tmp_path / "absent") == {
        tmp_path / "absent" / "t.v1" / "1.json": wire_schema(model())
    }


def test_the_command_fails_with_the_reasons_when_a_promise_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(models: object) -> list[Path]:
        raise Broken(["t.v1: data.case: removed"])

    monkeypatch.setattr(command, "freeze", refuse)
    assert command.main(["freeze"]) == 1
    assert capsys.readouterr().err == "t.v1: data.case: removed\n"
