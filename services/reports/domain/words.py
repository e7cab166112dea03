"""The words of a case's life: who acts on it, what can be done to it, and what all of it is called in Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from shared.contracts.reports import CaseState, Stage


class Side(StrEnum):
    """In which capacity somebody acts on a case."""

    REPORTER = "reporter"
    """Whoever reported or follows it."""
    UNIT = "unit"
    """The unit in charge: its officers and liaison."""
    VERIFIER = "checker"
    """Somebody who looks on the spot, outside the rectifying unit."""
    CENTRE = "centre"
    """The campaign office and its shift leader (值班长)."""
    LEADER = "leader"
    """The office's leader."""
    SYSTEM = "system"
    """The clock, and cases that depend on each other."""


class Command(StrEnum):
    """What can be done to a case; a verification has two outcomes, and so has a request for more time."""

    REGISTER = "register"
    CONFIRM = "confirm"
    FILE = "file"
    REJECT = "reject"
    DISPATCH = "dispatch"
    SPLIT = "split"
    ACKNOWLEDGE = "acknowledge"
    START = "start"
    RETURN = "return"
    ASK_EXTENSION = "ask-extension"
    GRANT_EXTENSION = "grant-extension"
    REFUSE_EXTENSION = "refuse-extension"
    SUSPEND = "suspend"
    ASK_REPORTER = "ask-reporter"
    RESUME = "resume"
    REPLY = "reply"
    VERIFY_PASSED = "verify-passed"
    VERIFY_FAILED = "verify-failed"
    CLOSE = "close"
    OBJECT = "object"
    RATE = "rate"
    REOPEN = "reopen"
    MERGE = "merge"
    UNMERGE = "unmerge"
    COMMENT = "comment"
    WITHDRAW = "withdraw"
    CHILD_ENDED = "child-ended"
    CHILD_REOPENED = "child-reopened"
    MARK_OVERDUE = "mark-overdue"


SIDES_ZH: Mapping[Side, str] = {
    Side.REPORTER: "上报人",
    Side.UNIT: "责任单位",
    Side.VERIFIER: "核查人",
    Side.CENTRE: "创建办（值班长）",
    Side.LEADER: "分管领导",
    Side.SYSTEM: "系统",
}
COMMANDS_ZH: Mapping[Command, str] = {
    Command.REGISTER: "受理",
    Command.CONFIRM: "核实属实",
    Command.FILE: "立案",
    Command.REJECT: "不予立案",
    Command.DISPATCH: "派遣",
    Command.SPLIT: "分派多个单位",
    Command.ACKNOWLEDGE: "签收",
    Command.START: "开始整改",
    Command.RETURN: "退单",
    Command.ASK_EXTENSION: "申请延期",
    Command.GRANT_EXTENSION: "批准延期",
    Command.REFUSE_EXTENSION: "不准延期",
    Command.SUSPEND: "挂账",
    Command.ASK_REPORTER: "请上报人补充",
    Command.RESUME: "恢复办理",
    Command.REPLY: "整改回执",
    Command.VERIFY_PASSED: "核查通过",
    Command.VERIFY_FAILED: "核查不合格",
    Command.CLOSE: "销号",
    Command.OBJECT: "提出异议",
    Command.RATE: "评价",
    Command.REOPEN: "重新办理",
    Command.MERGE: "合并",
    Command.UNMERGE: "撤销合并",
    Command.COMMENT: "备注",
    Command.WITHDRAW: "撤回",
    Command.CHILD_ENDED: "分案办结",
    Command.CHILD_REOPENED: "分案重新办理",
    Command.MARK_OVERDUE: "超期",
}
STATES_ZH: Mapping[CaseState, str] = {
    CaseState.REGISTERED: "已受理",
    CaseState.SITE_VERIFIED: "已核实",
    CaseState.FILED: "已立案",
    CaseState.DISPATCHED: "已派遣",
    CaseState.ACKNOWLEDGED: "已签收",
    CaseState.RECTIFYING: "整改中",
    CaseState.REPLIED: "待核查",
    CaseState.REWORK: "返工",
    CaseState.VERIFIED: "核查通过",
    CaseState.CLOSED: "已销号",
    CaseState.REJECTED: "不予立案",
    CaseState.RETURNED: "已退单",
    CaseState.SUSPENDED: "已挂账",
    CaseState.WAITING: "待补充",
    CaseState.MERGED: "已合并",
    CaseState.SPLIT: "多单位办理",
}
STAGES_ZH: Mapping[Stage, str] = {
    Stage.SITE_CHECK: "现场核实",
    Stage.DISPATCH: "派遣",
    Stage.ACKNOWLEDGE: "签收",
    Stage.RECTIFY: "整改",
    Stage.DECIDE: "延期审批",
    Stage.VERIFY: "核查",
    Stage.CLOSE: "销号",
    Stage.REVIEW: "挂账复查",
    Stage.ANSWER: "上报人答复",
}
