"""Who may do what, and what nobody does in their own cause. The routes take their roles from here.

Beyond the role, a unit's people act and read for their own unit only: the commands and views see to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Literal

from shared.own_cause import Decider, Everyone, require_impartial
from shared.roles import OVERSIGHT, UNIT, Role

_OFFICE = frozenset({Role.OFFICE})
_DECIDERS = frozenset({Role.OFFICE, Role.LEADER})
_PROPOSERS = frozenset({Role.OFFICE, Role.DISCIPLINE})
_ASSESSORS = frozenset({Role.OFFICE, Role.INSPECTOR})
_OF_A_UNIT = UNIT | {Role.HEAD}
_READERS = _OF_A_UNIT | OVERSIGHT
_INSIDERS = _READERS | {Role.VERIFIER}
_KEEPERS = frozenset({Role.OFFICE, Role.LIAISON})


class Act(StrEnum):
    """What somebody does or reads in scoring; what everybody may read has no name."""

    READ_LEDGER = "read-ledger"
    READ_APPEALS = "read-appeals"
    COUNT_APPEALS = "count-appeals"
    SUBMIT_APPEAL = "submit-appeal"
    WITHDRAW_APPEAL = "withdraw-appeal"
    UPHOLD_APPEAL = "uphold-appeal"
    REJECT_APPEAL = "reject-appeal"
    READ_PROPOSALS = "read-proposals"
    PROPOSE = "propose"
    WITHDRAW_PROPOSAL = "withdraw-proposal"
    APPROVE_PROPOSAL = "approve-proposal"
    REFUSE_PROPOSAL = "refuse-proposal"
    READ_EDITIONS = "read-editions"
    READ_RULE_DRAFTS = "read-rule-drafts"
    DRAFT_RULES = "draft-rules"
    USE_RULES = "use-rules"
    ASK_WHAT_IF = "ask-what-if"
    FREEZE_MONTH = "freeze-month"
    PROPOSE_MONTH = "propose-month"
    PUBLISH_MONTH = "publish-month"
    READ_RESULTS = "read-results"
    RECORD_RESULT = "record-result"
    READ_LISTS = "read-lists"
    DRAFT_LIST = "draft-list"
    APPROVE_LIST = "approve-list"
    PUBLISH_LIST = "publish-list"
    WITHDRAW_LIST = "withdraw-list"
    READ_MEASURES = "read-measures"
    RECEIVE_MEASURE = "receive-measure"
    REPLY_TO_MEASURE = "reply-to-measure"
    HOLD_MEASURE = "hold-measure"
    RELEASE_MEASURE = "release-measure"
    END_MEASURE = "end-measure"
    EXPORT_SCHEME = "export-scheme"
    DRAFT_SCHEME = "draft-scheme"
    PUBLISH_SCHEME = "publish-scheme"
    RETIRE_SCHEME = "retire-scheme"
    READ_MEASUREMENTS = "read-measurements"
    RECORD_MEASUREMENT = "record-measurement"
    READ_RESPONSIBILITY = "read-responsibility"
    CHANGE_RESPONSIBILITY = "change-responsibility"
    NAME_TASK_FORCE = "name-task-force"
    HAND_IN_PLAN = "hand-in-plan"
    SET_PROGRESS = "set-progress"
    READ_UNASSIGNED = "read-unassigned"
    LAY_FACT = "lay-fact"
    HAND_IN_FILE = "hand-in-file"
    READ_NEGATIVE_LIST = "read-negative-list"
    READ_SANCTIONS = "read-sanctions"
    REPORT_EVENT = "report-event"
    CONFIRM_EVENT = "confirm-event"
    CLEAR_EVENT = "clear-event"


ROLES: Mapping[Act, frozenset[Role]] = {
    Act.READ_LEDGER: _READERS,
    Act.READ_APPEALS: _READERS,
    Act.COUNT_APPEALS: OVERSIGHT,
    Act.SUBMIT_APPEAL: _OF_A_UNIT,
    Act.WITHDRAW_APPEAL: _OF_A_UNIT,
    Act.UPHOLD_APPEAL: OVERSIGHT,
    Act.REJECT_APPEAL: OVERSIGHT,
    Act.READ_PROPOSALS: OVERSIGHT,
    Act.PROPOSE: _PROPOSERS,
    Act.WITHDRAW_PROPOSAL: _PROPOSERS,
    Act.APPROVE_PROPOSAL: OVERSIGHT,
    Act.REFUSE_PROPOSAL: OVERSIGHT,
    Act.READ_EDITIONS: _INSIDERS,
    Act.READ_RULE_DRAFTS: OVERSIGHT,
    Act.DRAFT_RULES: _OFFICE,
    Act.USE_RULES: _OFFICE,
    Act.ASK_WHAT_IF: OVERSIGHT,
    Act.FREEZE_MONTH: _OFFICE,
    Act.PROPOSE_MONTH: _OFFICE,
    Act.PUBLISH_MONTH: _DECIDERS,
    Act.READ_RESULTS: OVERSIGHT,
    Act.RECORD_RESULT: _OFFICE,
    Act.READ_LISTS: OVERSIGHT,
    Act.DRAFT_LIST: _OFFICE,
    Act.APPROVE_LIST: _DECIDERS,
    Act.PUBLISH_LIST: _OFFICE,
    Act.WITHDRAW_LIST: _DECIDERS,
    Act.READ_MEASURES: _READERS,
    Act.RECEIVE_MEASURE: _OF_A_UNIT,
    Act.REPLY_TO_MEASURE: _OF_A_UNIT,
    Act.HOLD_MEASURE: _OFFICE,
    Act.RELEASE_MEASURE: _OFFICE,
    Act.END_MEASURE: _OFFICE,
    Act.EXPORT_SCHEME: _INSIDERS | {Role.INSPECTOR},
    Act.DRAFT_SCHEME: _OFFICE,
    Act.PUBLISH_SCHEME: _DECIDERS,
    Act.RETIRE_SCHEME: _DECIDERS,
    Act.READ_MEASUREMENTS: _INSIDERS,
    Act.RECORD_MEASUREMENT: _ASSESSORS,
    Act.READ_RESPONSIBILITY: _INSIDERS,
    Act.CHANGE_RESPONSIBILITY: _OFFICE,
    Act.NAME_TASK_FORCE: _KEEPERS,
    Act.HAND_IN_PLAN: _KEEPERS,
    Act.SET_PROGRESS: _KEEPERS,
    Act.READ_UNASSIGNED: OVERSIGHT,
    Act.LAY_FACT: _OFFICE,
    Act.HAND_IN_FILE: _INSIDERS,
    Act.READ_NEGATIVE_LIST: _INSIDERS,
    Act.READ_SANCTIONS: OVERSIGHT,
    Act.REPORT_EVENT: OVERSIGHT,
    Act.CONFIRM_EVENT: _DECIDERS,
    Act.CLEAR_EVENT: _DECIDERS,
}
DECISIONS = frozenset(
    {
        Act.UPHOLD_APPEAL,
        Act.REJECT_APPEAL,
        Act.APPROVE_PROPOSAL,
        Act.REFUSE_PROPOSAL,
        Act.USE_RULES,
        Act.PUBLISH_MONTH,
        Act.RECORD_RESULT,
        Act.APPROVE_LIST,
        Act.PUBLISH_LIST,
        Act.WITHDRAW_LIST,
        Act.HOLD_MEASURE,
        Act.RELEASE_MEASURE,
        Act.END_MEASURE,
        Act.PUBLISH_SCHEME,
        Act.RETIRE_SCHEME,
        Act.RECORD_MEASUREMENT,
        Act.CHANGE_RESPONSIBILITY,
        Act.LAY_FACT,
        Act.CONFIRM_EVENT,
        Act.CLEAR_EVENT,
    }
)
"""What changes what a unit answers for: nobody does it in their own cause (see shared/own_cause.py)."""


def decide(
    act: Act,
    by: Decider,
    *,
    units: Iterable[str | None] | Literal[Everyone.EVERY_UNIT] = (),
    people: Iterable[str | None] = (),
) -> None:
    """Let somebody take one of `DECISIONS` about these units, in which these people had a part.

    Raises Forbidden (second-person-required, decision-on-own-unit).
    """
    assert act in DECISIONS  # noqa: S101  (or the table of access would not show it)
    require_impartial(by, units=units, people=people)
