"""What may be done to a case when, and by whom: one table.

`docs/case-states.md` is drawn from it: `python -m services.reports.domain.transitions > docs/case-states.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from services.reports.domain.words import COMMANDS_ZH, SIDES_ZH, STAGES_ZH, STATES_ZH, Command, Side
from shared.contracts.reports import CaseState, Stage
from shared.errors import Forbidden, Refused

S, C = CaseState, Command
Word = TypeVar("Word", bound=StrEnum)
STATES = frozenset(CaseState) - {S.OTHER}
BEFORE_UNIT = frozenset({S.REGISTERED, S.SITE_VERIFIED, S.FILED, S.RETURNED})
AT_WORK = frozenset({S.ACKNOWLEDGED, S.RECTIFYING, S.REWORK})
WITH_UNIT = AT_WORK | {S.DISPATCHED}
FINAL = frozenset({S.CLOSED, S.REJECTED, S.MERGED})

EARLIER = "earlier"
"""Target of a command that leads back to where the case was before it rested."""
SAME = "same"


@dataclass(frozen=True)
class Transition:
    """One row: from which states the command leads where, and who may give it.

    `impartial`: it decides about a unit's work, so nobody of that unit may, nor who had a hand in the work.
    """

    command: Command
    sources: frozenset[CaseState]
    target: CaseState | str
    sides: frozenset[Side]
    impartial: bool = False


def _row(command: Command, sources: frozenset[CaseState], target: CaseState | str, *sides: Side) -> Transition:
    return Transition(command, sources, target, frozenset(sides))


def _decision(command: Command, sources: frozenset[CaseState], target: CaseState | str, *sides: Side) -> Transition:
    return Transition(command, sources, target, frozenset(sides), impartial=True)


def _only(*states: CaseState) -> frozenset[CaseState]:
    return frozenset(states)


TABLE = (
    _row(C.CONFIRM, _only(S.REGISTERED), S.SITE_VERIFIED, Side.VERIFIER, Side.CENTRE),
    _row(C.FILE, _only(S.REGISTERED, S.SITE_VERIFIED), S.FILED, Side.CENTRE),
    _row(C.REJECT, BEFORE_UNIT, S.REJECTED, Side.CENTRE),
    _row(C.DISPATCH, BEFORE_UNIT, S.DISPATCHED, Side.CENTRE, Side.SYSTEM),
    _row(C.SPLIT, BEFORE_UNIT | {S.DISPATCHED}, S.SPLIT, Side.CENTRE),
    _row(C.ACKNOWLEDGE, _only(S.DISPATCHED), S.ACKNOWLEDGED, Side.UNIT),
    _row(C.START, _only(S.ACKNOWLEDGED), S.RECTIFYING, Side.UNIT),
    _row(C.RETURN, _only(S.DISPATCHED, S.ACKNOWLEDGED), S.RETURNED, Side.UNIT),
    _row(C.ASK_EXTENSION, WITH_UNIT, SAME, Side.UNIT),
    _decision(C.GRANT_EXTENSION, WITH_UNIT, SAME, Side.CENTRE, Side.LEADER),
    _decision(C.REFUSE_EXTENSION, WITH_UNIT, SAME, Side.CENTRE, Side.LEADER),
    _decision(C.SUSPEND, BEFORE_UNIT | WITH_UNIT, S.SUSPENDED, Side.LEADER),
    _row(C.ASK_REPORTER, BEFORE_UNIT | AT_WORK, S.WAITING, Side.UNIT, Side.CENTRE),
    _decision(C.RESUME, _only(S.SUSPENDED), EARLIER, Side.LEADER),
    _row(C.RESUME, _only(S.WAITING), EARLIER, Side.UNIT, Side.CENTRE, Side.REPORTER, Side.SYSTEM),
    _row(C.REPLY, AT_WORK, S.REPLIED, Side.UNIT),
    _decision(C.VERIFY_PASSED, _only(S.REPLIED), S.VERIFIED, Side.VERIFIER, Side.CENTRE),
    _decision(C.VERIFY_FAILED, _only(S.REPLIED), S.REWORK, Side.VERIFIER, Side.CENTRE),
    _row(C.CLOSE, _only(S.VERIFIED), S.CLOSED, Side.CENTRE),
    _row(C.OBJECT, _only(S.CLOSED), SAME, Side.REPORTER),
    _row(C.RATE, _only(S.CLOSED), SAME, Side.REPORTER),
    _row(C.REOPEN, _only(S.CLOSED), S.DISPATCHED, Side.CENTRE, Side.SYSTEM),
    _decision(C.MERGE, BEFORE_UNIT | WITH_UNIT - {S.REWORK}, S.MERGED, Side.CENTRE),
    _row(C.UNMERGE, _only(S.MERGED), EARLIER, Side.CENTRE),
    _row(C.COMMENT, STATES, SAME, Side.UNIT, Side.VERIFIER, Side.CENTRE, Side.LEADER, Side.REPORTER),
    _row(C.WITHDRAW, _only(S.REGISTERED), S.REJECTED, Side.REPORTER),
    _row(C.WITHDRAW, BEFORE_UNIT - _only(S.REGISTERED), SAME, Side.REPORTER),
    _row(C.CHILD_ENDED, _only(S.SPLIT), SAME, Side.SYSTEM),
    _row(C.CHILD_REOPENED, _only(S.SPLIT, S.CLOSED), S.SPLIT, Side.SYSTEM),
)
TRANSITIONS = {(state, row.command): row for row in TABLE for state in row.sources}
WORK = frozenset(row.command for row in TABLE if row.sides == {Side.UNIT})
"""What only the unit does: whoever did it does not decide about it."""

STAGES: Mapping[CaseState, Stage] = {
    S.REGISTERED: Stage.DISPATCH,
    S.SITE_VERIFIED: Stage.DISPATCH,
    S.FILED: Stage.DISPATCH,
    S.RETURNED: Stage.DISPATCH,
    S.DISPATCHED: Stage.ACKNOWLEDGE,
    S.ACKNOWLEDGED: Stage.RECTIFY,
    S.RECTIFYING: Stage.RECTIFY,
    S.REWORK: Stage.RECTIFY,
    S.REPLIED: Stage.VERIFY,
    S.VERIFIED: Stage.CLOSE,
    S.SUSPENDED: Stage.REVIEW,
    S.WAITING: Stage.ANSWER,
}
"""What a case waits for; registered, it is `SITE_CHECK` while one is owed."""


@dataclass(frozen=True)
class Actor:
    """Who acts: in which capacities, for which unit (None: for none), and the subject of their token."""

    sides: frozenset[Side]
    unit: str | None = None
    subject: str = ""

    @property
    def name(self) -> str | None:
        """What history calls them: the unit acted for, or the side; None for the system."""
        return None if self.sides == {Side.SYSTEM} else self.unit or min(self.sides, default=None)


SYSTEM = Actor(frozenset({Side.SYSTEM}))


def transition(state: CaseState, command: Command, units: Collection[str | None], by: Actor) -> Transition:
    """The row that allows it; `units` are those in charge.

    Raises Refused (transition-not-allowed), Forbidden (command-of-another-side, case-of-another-unit).
    """
    row = TRANSITIONS.get((state, command))
    if row is None:
        raise Refused(
            "transition-not-allowed",
            state=state.value,
            state_zh=STATES_ZH[state],
            command=command.value,
            command_zh=COMMANDS_ZH[command],
        )
    if not (sides := row.sides & by.sides):
        raise Forbidden(
            "command-of-another-side",
            command=command.value,
            command_zh=COMMANDS_ZH[command],
            sides=", ".join(sorted(row.sides)),
            sides_zh="、".join(SIDES_ZH[side] for side in sorted(row.sides)),
        )
    if sides == {Side.UNIT} and (by.unit is None or by.unit not in units):
        raise Forbidden("case-of-another-unit", unit=by.unit or "")
    return row


def drawn() -> str:
    """The rules as a Markdown page with a diagram (Mermaid), Chinese beside English."""
    return "\n".join([_PREFACE, *_diagram(), *_states(), *_commands(), ""])


_PREFACE = """\
# 案件的一生 · The life of a case

本页由 `python -m services.reports.domain.transitions` 生成，请勿手改。
Generated by `python -m services.reports.domain.transitions`; do not edit.

- **回执不等于销号**：由整改单位以外的人核查。
  A reply never closes a case: somebody outside the rectifying unit has to find the work done.
- **每个环节都有时限**：将到期提醒一次，到期为蓝，此后为橙、红，各告知一次。
  Every stage has a time limit, told once when it is about to run out, when it has (blue), and at each further
  level (orange, red).
- **停走明示**：挂账、待补充、合并期间各时限停走，恢复后按工作时间顺延。
  While a case is suspended, waits for its reporter or is merged, its limits stand still; afterwards they end later
  by the working time it rested.
- **回避**：核查、延期审批、挂账与恢复、合并，责任单位及配合单位的人、经办过本案的人一律回避（表中注明）。
  Nobody decides in their own cause: neither who belongs to a unit in charge nor who had a hand in its work (marked in
  the table below).
- **退单**：派遣后限期内说明理由，退回创建办重新派遣。
  A unit gives back what is not its own, within a limit and with a reason.
- **延期**：到期前申请，未决期间不判超期；首次标准延期由值班长批准，再次或自报期限由领导批准并说明理由。
  More time is asked for before the limit ends, and nothing runs out until somebody decides. The shift leader grants the
  standard extension once; a second one, or the unit's own estimate, needs the leader and a reason.
- **异议**：销号后限期内上报人附照片提出，首次直接退回责任单位，此后由创建办决定。
  The reporter's first objection, in time and with a photo, reopens the case at once; after that the office decides.
- **分派多个单位**：各单位一件分案，各有时限，全部办结后总案自动销号。
  Each unit has a part with limits of its own; the case closes when all parts have.
"""
_ORDER = list(STATES_ZH)
_BESIDE = (S.SUSPENDED, S.WAITING, S.MERGED, S.SPLIT)
"""States beside the road from registration to sign-off, drawn apart."""


def _diagram() -> Iterator[str]:
    yield from (
        "## 主线 · The road",
        "",
        "```mermaid",
        "stateDiagram-v2",
        *map(_box, _sorted(STATES.difference(_BESIDE))),
    )
    yield f"  [*] --> registered : {COMMANDS_ZH[C.REGISTER]}"
    for row in TABLE:
        if isinstance(row.target, CaseState) and row.target not in _BESIDE:
            for state in _sorted(row.sources):
                yield f"  {_node(state)} --> {_node(row.target)} : {COMMANDS_ZH[row.command]}"
    yield from ("```", "", "## 旁支 · Beside the road", "", "```mermaid", "stateDiagram-v2", "  direction LR")
    yield from ('  state "回执前 not replied yet" as open', *map(_box, (*_BESIDE, S.CLOSED)))
    for row in TABLE:
        if row.target in _BESIDE:
            start = "closed" if S.CLOSED in row.sources else "open"
            yield f"  {start} --> {_node(S(row.target))} : {COMMANDS_ZH[row.command]}"
        if row.target is EARLIER:
            yield from (f"  {_node(state)} --> open : {COMMANDS_ZH[row.command]}" for state in _sorted(row.sources))
    yield from (f"  split --> closed : {COMMANDS_ZH[C.CHILD_ENDED]}", "```", "")


def _states() -> Iterator[str]:
    yield from (
        "## 状态 · States",
        "",
        "| 状态 State | 等待环节 Waits for | 可以做 What may be done |",
        "|---|---|---|",
    )
    for state in _ORDER:
        stage = _named(STAGES_ZH, STAGES[state]) if state in STAGES else "—"
        commands = [row.command for row in TABLE if state in row.sources and row.sources != STATES]
        possible = "、".join(_named(COMMANDS_ZH, each) for each in commands) or "—"
        yield f"| {_named(STATES_ZH, state)} | {stage} | {possible} |"
    yield from ("", "需现场核实的案件受理后先等待核实（`site-check`）；任何状态都可以备注（`comment`）。")
    yield from ("A case that has to be looked at first waits for that; a comment is possible in any state.", "")


def _commands() -> Iterator[str]:
    yield from ("## 命令 · Commands", "", "| 命令 Command | 从 From | 到 To | 由谁 By |", "|---|---|---|---|")
    for row in TABLE:
        sources = (
            "任何状态 any" if row.sources == STATES else "、".join(STATES_ZH[each] for each in _sorted(row.sources))
        )
        target = _named(STATES_ZH, row.target) if isinstance(row.target, CaseState) else _ELSEWHERE[row.target]
        sides = "、".join(_named(SIDES_ZH, side) for side in Side if side in row.sides)
        apart = "（回避 impartial）" if row.impartial else ""
        yield f"| {_named(COMMANDS_ZH, row.command)} | {sources} | {target} | {sides}{apart} |"


_ELSEWHERE = {SAME: "不变 the same", EARLIER: "原状态 where it was"}


def _sorted(states: Iterable[CaseState]) -> list[CaseState]:
    return sorted(states, key=_ORDER.index)


def _box(state: CaseState) -> str:
    return f'  state "{STATES_ZH[state]} {state}" as {_node(state)}'


def _node(state: CaseState) -> str:
    return state.replace("-", "_")


def _named(chinese: Mapping[Word, str], word: Word) -> str:
    return f"{chinese[word]} `{word}`"


if __name__ == "__main__":
    sys.stdout.write(drawn())
