"""Cases of every channel from intake to sign-off, with everything that may happen on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import httpx2
import pytest

from tests.e2e.test_loop import REPORT
from tests.processes import Platform
from tests.waiting import eventually

UNIT, OTHER = "huanwei", "chengguan"


class Office:
    """Everybody who has to do with a case, at the public interface of the running service."""

    def __init__(self, http: httpx2.AsyncClient, platform: Platform) -> None:
        self._http, self._platform = http, platform
        self._address = platform.url("reports")

    async def file(self, caller: dict[str, str] | None = None, **change: object) -> str:
        answer = await self._http.post(f"{self._address}/cases", json={**REPORT, **change}, headers=caller)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["case"])

    async def do(self, case: str, step: str, caller: dict[str, str], **body: object) -> dict[str, Any]:
        answer = await self._http.post(f"{self._address}/cases/{case}/{step}", json=body, headers=caller)
        assert answer.status_code == 200, f"{step}: {answer.text}"
        content: dict[str, Any] = answer.json()
        return content

    async def finish(self, case: str, unit: str = UNIT) -> None:
        """The ordinary way from dispatch to sign-off."""
        officer = self.officer(unit)
        await self.do(case, "acknowledge", officer)
        await self.do(case, "start", officer)
        await self.do(case, "reply", officer, text="已清运")
        await self.do(case, "verify", self.verifier, passed=True)
        await self.do(case, "close", self.office)

    async def snapshot(self, case: str) -> dict[str, Any]:
        body = (await self._http.get(f"{self._address}/cases/{case}")).json()
        snapshot: dict[str, Any] = body["snapshot"]
        return snapshot

    async def shown(self, case: str, state: str) -> bool:
        """Whether the portal shows the case in this state."""
        answer = await self._http.get(f"{self._platform.url('portal')}/api/cases/{case}")
        return answer.status_code == 200 and answer.json()["state"] == state

    def officer(self, unit: str = UNIT) -> dict[str, str]:
        return self._platform.token("officer", unit=unit)

    @property
    def verifier(self) -> dict[str, str]:
        return self._platform.token("verifier")

    @property
    def office(self) -> dict[str, str]:
        return self._platform.token("office")

    @property
    def leader(self) -> dict[str, str]:
        return self._platform.token("leader")


@pytest.fixture
async def desk(platform: Platform) -> AsyncIterator[Office]:
    async with httpx2.AsyncClient(timeout=10) as http:
        yield Office(http, platform)


@pytest.mark.parametrize(
    ("channel", "role", "reporter_kind"),
    [
        ("citizen", None, "citizen"),
        ("staff", "dispatcher", "citizen"),
        ("hotline", "service", "citizen"),
        ("patrol", "verifier", "staff"),
        ("media", "office", "journalist"),
    ],
)
async def test_a_case_of_each_channel_comes_to_its_end(
    desk: Office, platform: Platform, channel: str, role: str | None, reporter_kind: str
) -> None:
    caller = platform.token(role) if role else None
    case = await desk.file(caller, channel=channel, reporter_kind=reporter_kind)

    await desk.finish(case)

    found = await desk.snapshot(case)
    assert (found["state"], found["channel"], found["reporter_kind"]) == ("closed", channel, reporter_kind)
    assert await eventually(lambda: desk.shown(case, "closed"))


async def test_a_case_returned_goes_to_another_unit_which_gets_more_time_and_has_to_do_it_twice(desk: Office) -> None:
    case = await desk.file()
    returned = await desk.do(case, "return", desk.officer(), reason="不属于本单位职责")
    assert (returned["state"], returned["unit"]) == ("returned", None)
    await desk.do(case, "dispatch", desk.office, unit=OTHER, supporting=[UNIT])
    officer = desk.officer(OTHER)
    before = await desk.do(case, "acknowledge", officer)
    await desk.do(case, "extension", officer, reason="需调用大型机械")
    after = await desk.do(case, "extension/decision", desk.office, granted=True)
    assert datetime.fromisoformat(after["due_at"]) > datetime.fromisoformat(before["due_at"])
    await desk.do(case, "reply", officer, text="已处理")
    assert (await desk.do(case, "verify", desk.verifier, passed=False, note="仍有残留"))["state"] == "rework"
    await desk.do(case, "reply", officer, text="再次处理")
    await desk.do(case, "verify", desk.verifier, passed=True)
    await desk.do(case, "close", desk.office)

    found = await desk.snapshot(case)
    assert (found["unit"], found["returns"], found["extensions"], found["reworks"]) == (OTHER, 1, 1, 1)
    reopened = await desk.do(case, "reopen", desk.office, reason="回头看发现反弹")
    assert (reopened["state"], reopened["unit"]) == ("dispatched", OTHER)
    await desk.finish(case, OTHER)
    assert (await desk.snapshot(case))["reopens"] == 1


async def test_a_case_split_among_units_closes_with_its_last_part(desk: Office) -> None:
    case = await desk.file()
    assert (await desk.do(case, "split", desk.office, units=[UNIT, OTHER]))["state"] == "split"
    parts = (await desk.snapshot(case))["children"]
    await desk.finish(parts[0], UNIT)
    assert (await desk.snapshot(case))["state"] == "split"
    await desk.finish(parts[1], OTHER)
    assert (await desk.snapshot(case))["state"] == "closed"
    for id in (case, *parts):
        assert await eventually(partial(desk.shown, id, "closed"))


async def test_two_reports_of_one_problem_are_merged_and_parted_again(desk: Office) -> None:
    first, second = await desk.file(), await desk.file(text="同一处垃圾")
    assert (await desk.do(second, "merge", desk.office, into=first))["state"] == "merged"
    assert (await desk.snapshot(second))["merged_into"] == first
    assert (await desk.do(second, "unmerge", desk.office))["state"] == "dispatched"
    for case in (first, second):
        await desk.finish(case)


async def test_a_suspended_case_rests_until_a_leader_lets_it_go_on(desk: Office) -> None:
    case = await desk.file()
    before = await desk.do(case, "acknowledge", desk.officer())
    later = datetime.fromisoformat(before["due_at"]) + timedelta(days=14)
    suspended = await desk.do(case, "suspend", desk.leader, reason="待工程立项", review_at=later.isoformat())
    assert (suspended["state"], suspended["due_at"]) == ("suspended", None)
    resumed = await desk.do(case, "resume", desk.leader, note="工程已开工")
    assert resumed["state"] == "acknowledged"
    assert datetime.fromisoformat(resumed["due_at"]) >= datetime.fromisoformat(before["due_at"])
    await desk.do(case, "reply", desk.officer(), text="已处理")
