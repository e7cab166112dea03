"""Versions of the assessment scheme: what may be written, which is in force, and how two differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from services.scoring.domain.differences import FieldChange, How, What, differences
from services.scoring.domain.marking import Marking, RuleKind
from services.scoring.domain.schemes import (
    STANDARDS_LIMIT,
    Category,
    Content,
    Scheme,
    SchemeContent,
    Standard,
    Timeline,
    Tree,
    faults,
    standards_of,
    weight,
)
from shared.errors import DomainError, Several
from tests.unit.scoring.schemes import KNOWN, SLOW, a_standard, a_tree, trees

NEW_YEAR = datetime(2025, 12, 31, 16, 0, tzinfo=UTC)
"""The first moment of 2026 in Asia/Shanghai."""


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"code": "a b"}, "scheme-code-malformed", "code"),
        ({"code": "-a"}, "scheme-code-malformed", "code"),
        ({"code": "a@1"}, "scheme-code-malformed", "code"),
        ({"text": " "}, "text-required", "text"),
        ({"text": "<b>"}, "text-has-markup", "text"),
        ({"text": "a\u202eb"}, "text-has-control-characters", "text"),
        ({"text": "a\ufffeb"}, "text-has-control-characters", "text"),
        ({"text": "长" * 1001}, "text-too-long", "text"),
        ({"points": Decimal(0)}, "points-unfit", "points"),
        ({"points": Decimal("100.01")}, "points-unfit", "points"),
        ({"marking": Marking(RuleKind.RATIO, Decimal(1))}, "marking-without-each", "marking.each"),
        ({"methods": ()}, "list-empty", "methods"),
        ({"venues": ("bus-stop", "moon")}, "venue-type-unknown", "venues.1"),
        ({"venues": ("bus-stop", "bus-stop")}, "listed-twice", "venues.1"),
        ({"lead": "nobody"}, "unit-unknown", "lead"),
        ({"supporting": ("nobody",)}, "unit-unknown", "supporting.0"),
        ({"supporting": ("gongjiao",)}, "lead-among-supporting", "supporting"),
        ({"due": "2026-02-30"}, "day-unfit", "due"),
        ({"due": "1899-12-31"}, "day-unfit", "due"),
    ],
)
def test_a_fault_is_told_by_its_field(change: dict[str, Any], code: str, field: str) -> None:
    found = list(faults(a_tree(replace(a_standard(), **change)), KNOWN))
    assert [(each.code, each.field) for each in found] == [(code, f"categories.0.contents.0.standards.0.{field}")]


def test_all_faults_are_told_at_once() -> None:
    tree = (
        *a_tree(a_standard("s-1"), a_standard("s-1", points=Decimal(-1))),
        Category("k-1", "", (Content("c-1", "内容", ()),)),
        Category("k-2", "空", ()),
    )
    with pytest.raises(Several) as refused:
        SchemeContent("", "示例", tree).checked(KNOWN)
    assert [(each.code, each.field) for each in refused.value.faults] == [
        ("text-required", "name"),
        ("listed-twice", "categories.0.contents.0.standards.1.code"),
        ("points-unfit", "categories.0.contents.0.standards.1.points"),
        ("listed-twice", "categories.1.code"),
        ("text-required", "categories.1.name"),
        ("listed-twice", "categories.1.contents.0.code"),
        ("list-empty", "categories.1.contents.0.standards"),
        ("list-empty", "categories.2.contents"),
    ]


def test_a_scheme_has_a_limit() -> None:
    full = a_tree(*(a_standard(f"s-{number}") for number in range(STANDARDS_LIMIT)))
    assert list(faults(full, KNOWN)) == []
    assert weight(full) == (STANDARDS_LIMIT, Decimal(20 * STANDARDS_LIMIT))
    over = a_tree(*(a_standard(f"s-{number}") for number in range(STANDARDS_LIMIT + 1)))
    assert [each.code for each in faults(over, KNOWN)] == ["scheme-too-large"]


def a_draft() -> Scheme:
    return Scheme("2", 2, "体系", "", 1, Decimal(20), made_at=NEW_YEAR, made_by="office")


def test_a_version_goes_from_draft_to_published_to_retired_and_never_back() -> None:
    scheme = a_draft()
    scheme.write("改", "", a_tree(), "office", NEW_YEAR)
    assert scheme.revision == 2
    with pytest.raises(DomainError, match="scheme-not-published"):
        scheme.retire(NEW_YEAR)
    scheme.publish("2026-01-01", "leader", NEW_YEAR)
    with pytest.raises(DomainError, match="scheme-not-a-draft"):
        scheme.write("改", "", a_tree(), "office", NEW_YEAR)
    with pytest.raises(DomainError, match="scheme-not-a-draft"):
        scheme.publish("2026-01-01", "leader", NEW_YEAR)
    scheme.retire(NEW_YEAR)
    with pytest.raises(DomainError, match="scheme-not-published"):
        scheme.retire(NEW_YEAR)


def test_an_empty_draft_cannot_be_published_and_a_stale_edit_is_refused() -> None:
    scheme = a_draft()
    scheme.write("空", "", (), "office", NEW_YEAR)
    with pytest.raises(DomainError, match="scheme-empty"):
        scheme.publish("2026-01-01", "leader", NEW_YEAR)
    with pytest.raises(DomainError, match="scheme-stale"):
        scheme.require_revision(1)


def test_one_version_is_in_force_at_a_moment_from_midnight_in_shanghai() -> None:
    timeline = Timeline("current")
    timeline.begin(2, "2027-01-01")
    timeline.begin(1, "2026-01-01")
    moment = timedelta(milliseconds=1)
    year = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)
    assert timeline.in_force(NEW_YEAR - moment) is None
    assert (timeline.in_force(NEW_YEAR), timeline.in_force(year - moment)) == (1, 1)
    assert timeline.in_force(year) == 2
    assert (timeline.ends_at(1), timeline.ends_at(2)) == (year, None)
    with pytest.raises(DomainError, match="scheme-day-taken"):
        timeline.begin(3, "2027-01-01")


def test_a_version_retired_by_hand_leaves_none_in_force_until_the_next_begins() -> None:
    timeline = Timeline("current")
    timeline.begin(1, "2026-01-01")
    timeline.begin(2, "2027-01-01")
    summer = datetime(2026, 7, 1, tzinfo=UTC)
    timeline.end(1, summer)
    assert timeline.in_force(summer - timedelta(milliseconds=1)) == 1
    assert timeline.in_force(summer) is None
    assert timeline.in_force(datetime(2027, 1, 1, tzinfo=UTC)) == 2


def test_a_version_called_off_before_it_begins_was_never_in_force_and_frees_its_day() -> None:
    timeline = Timeline("current")
    timeline.begin(1, "2026-01-01")
    timeline.begin(2, "2027-01-01")
    timeline.end(2, datetime(2026, 7, 1, tzinfo=UTC))
    assert timeline.in_force(datetime(2027, 6, 1, tzinfo=UTC)) == 1
    assert timeline.ends_at(1) is None
    timeline.begin(3, "2027-01-01")
    assert timeline.in_force(datetime(2027, 6, 1, tzinfo=UTC)) == 3


def test_two_versions_differ_field_by_field() -> None:
    before = a_tree(a_standard("s-1"), a_standard("s-2"))
    after = a_tree(
        a_standard("s-1", points=Decimal(10), marking=Marking(RuleKind.RATIO, target=6), lead=None), a_standard("s-3")
    )
    found = {(each.what, each.code): each for each in differences(before, after)}
    assert {key: each.how for key, each in found.items()} == {
        (What.STANDARD, "s-1"): How.CHANGED,
        (What.STANDARD, "s-2"): How.REMOVED,
        (What.STANDARD, "s-3"): How.ADDED,
    }
    assert found[What.STANDARD, "s-1"].fields == (
        FieldChange("points", Decimal(20), Decimal(10)),
        FieldChange("lead", "gongjiao", None),
        FieldChange("kind", RuleKind.SHORTFALL, RuleKind.RATIO),
        FieldChange("each", Decimal(4), None),
    )
    assert FieldChange("text", None, a_standard().text) in found[What.STANDARD, "s-3"].fields


def test_what_went_elsewhere_has_changed_its_place() -> None:
    before, after = a_tree(content="c-1"), a_tree(content="c-2")
    found = [(each.what, each.code, each.how) for each in differences(before, after)]
    assert found == [
        (What.CONTENT, "c-1", How.REMOVED),
        (What.CONTENT, "c-2", How.ADDED),
        (What.STANDARD, "s-1", How.CHANGED),
    ]
    assert differences(before, after)[-1].fields == (FieldChange("content", "c-1", "c-2"),)


def _apply(tree: Tree, other: Tree) -> dict[str, Standard]:
    """The standards of `tree` after the differences to `other` were made to them, as far as these tell."""
    standards = {each.standard.code: each.standard for each in standards_of(0, tree)}
    for each in differences(tree, other):
        if each.what is not What.STANDARD:
            continue
        if each.how is How.REMOVED:
            del standards[each.code]
            continue
        content: dict[str, Any] = {change.field: change.after for change in each.fields if change.field != "content"}
        marking = {name: content.pop(name) for name in ("kind", "each", "target") if name in content}
        kept = standards.get(each.code) or Standard(each.code, "", Decimal(0), Marking(RuleKind.RATIO))
        standards[each.code] = replace(kept, **content, marking=replace(kept.marking, **marking))
    return standards


@SLOW
@given(trees(), trees())
def test_differences_lead_from_one_version_to_the_other_and_back(one: Tree, other: Tree) -> None:
    assert differences(one, one) == []
    assert _apply(one, other) == {each.standard.code: each.standard for each in standards_of(0, other)}
    there, back = differences(one, other), differences(other, one)
    mirrored = {How.ADDED: How.REMOVED, How.REMOVED: How.ADDED, How.CHANGED: How.CHANGED}
    assert [(each.what, each.code, each.how) for each in there] == [
        (each.what, each.code, mirrored[each.how]) for each in back
    ]
