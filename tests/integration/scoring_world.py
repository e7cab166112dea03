"""The scoring service in process on the real database, its ledgers written when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx2

from services.scoring.app import POSTING, SERVICE
from services.scoring.commands.rules import tell_ledger
from shared.consumer import Inbox
from shared.contracts.scoring import ChargeMade, FactKind
from shared.event import Event
from shared.store import OUTBOX
from tests.engine import records
from tests.inprocess import Inside

NOVEMBER = datetime(2026, 11, 3, 2, 0, tzinfo=UTC)
"""10:00 in Asia/Shanghai on a Tuesday."""


async def charged(
    scoring: Inside, unit: str, points: str, matter: str, at: datetime | None = None, kind: FactKind = FactKind.REWORK
) -> None:
    """The unit is to lose points by the sample's rule on rework; posted with the next `settled`."""
    found = ChargeMade(
        unit=unit,
        case=matter,
        category="exposed-rubbish",
        rule="rework",
        rule_version=1,
        points=Decimal(points),
        basis=f"reports.case/{matter}/1",
        happened_at=at or scoring.clock.now(),
        kind=kind,
    )
    await scoring.runtime.store.run(lambda uow: tell_ledger(uow, f"{matter}:{unit}", found))


async def settled(scoring: Inside) -> int:
    """Have all that the ledgers were told handled, in order, as the worker does; how much it was."""
    store, handled = scoring.runtime.store, scoring.app.state.__dict__.setdefault("handled", set())
    found = await store.find(OUTBOX, {"topic": ChargeMade.TOPIC}, [("created_at", 1), ("_id", 1)])
    rows = [row for row in found if row.id not in handled]
    for row in rows:
        uow = store.unit()
        await POSTING.handle(uow, row.event, None)
        await store.commit(uow)
    handled.update(row.id for row in rows)
    return len(rows)


async def answered(
    http: httpx2.AsyncClient, method: str, address: str, caller: dict[str, str], body: object = None
) -> Any:
    """The answer to a request that is allowed."""
    answer = await http.request(method, address, json=body, headers=caller)
    assert answer.is_success, answer.text
    return answer.json()


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["code"]


async def heard(scoring: Inside, *events: Event) -> None:
    """Have events of other services handled in one batch, as the worker does."""
    [facts] = [each for each in SERVICE.subscriptions if each.group == "scoring.charges"]
    await Inbox(scoring.runtime.store, facts, scoring.runtime.resources).apply(records(*events))
