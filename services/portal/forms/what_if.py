"""The form in which the office tries other points on a month."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from starlette.datastructures import FormData

from services.portal.clients.scoring import Rule
from services.portal.forms.reading import Faults, text_of

TOKEN_LIMIT = 8192
_AMOUNT = re.compile(r"\d{1,3}(\.\d{1,2})?")
_TOKEN = re.compile(r"[\x21-\x7e]+")
_PERIOD = re.compile(r"20\d{2}-(0[1-9]|1[0-2])")


def amount_field(code: str, place: str) -> str:
    """The name of the field with an amount of a rule: its `otherwise`, its `cap`, or `row.<value>`."""
    return f"points.{code}.{place}"


@dataclass(frozen=True)
class WhatIfForm:
    """A month, whose token asks, and the amounts that were typed, by the names of their fields."""

    period: str
    token: str = field(repr=False)
    amounts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, form: FormData, rules: Sequence[Rule]) -> WhatIfForm:
        """What was typed into the fields of these rules."""
        names = [name for rule in rules for name in _amounts_of(rule)]
        typed = {name: text_of(form, name)[:10] for name in names if name in form}
        return cls(text_of(form, "period")[:7], text_of(form, "bearer")[:TOKEN_LIMIT], typed)

    def faults(self) -> Faults:
        """What cannot be asked so, by field."""
        found: Faults = {name: "what-if-amount" for name, typed in self.amounts.items() if not _is_amount(typed)}
        if not _PERIOD.fullmatch(self.period):
            found["period"] = "what-if-period"
        if not _TOKEN.fullmatch(self.token):
            found["bearer"] = "what-if-token"
        return found

    def changed(self, rules: Sequence[Rule]) -> list[Rule]:
        """The rules of which an amount is another now."""
        return [other for rule in rules if (other := self._with_amounts(rule)) != rule]

    def _with_amounts(self, rule: Rule) -> Rule:
        typed = {name: self.amounts.get(name, "") for name in _amounts_of(rule)}
        rows = {
            value: Decimal(typed[amount_field(rule.code, f"row.{value}")] or amount)
            for value, amount in rule.table.rows.items()
        }
        otherwise = Decimal(typed[amount_field(rule.code, "otherwise")] or rule.table.otherwise)
        table = rule.table.model_copy(update={"rows": rows, "otherwise": otherwise})
        cap = typed.get(amount_field(rule.code, "cap"), "")
        return rule.model_copy(update={"table": table, "cap": Decimal(cap) if cap else rule.cap})


def _amounts_of(rule: Rule) -> dict[str, Decimal]:
    amounts = {amount_field(rule.code, f"row.{value}"): amount for value, amount in rule.table.rows.items()}
    amounts[amount_field(rule.code, "otherwise")] = rule.table.otherwise
    return amounts if rule.cap is None else {**amounts, amount_field(rule.code, "cap"): rule.cap}


def _is_amount(typed: str) -> bool:
    return not typed or (_AMOUNT.fullmatch(typed) is not None and Decimal(typed) <= 100)
