"""The district of a run: one rule and one rung, so that the judge can say by itself what must follow."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from services.scoring.district import District
from services.scoring.resources import Resources
from shared.contracts.reports import Level
from shared.signing import Signer, new_key
from tests.chaos.evidence import Letter
from tests.chaos.fleet import THE_RUNG, district
from tests.unit.scoring.ladders import CASE, World, overdue


async def test_an_overdue_case_is_reminded_of_once_whatever_its_level(tmp_path: Path) -> None:
    world = World.new()
    world.resources = Resources(
        District.load(district(tmp_path)), Signer.of(new_key()), "https://chuangwen.example/", world.store
    )
    await world.hear(overdue(), overdue(Level.ORANGE), overdue(Level.RED))
    await world.tick()
    for _ in range(12):
        await world.tick(timedelta(days=4))
    letters = [Letter.of(measure) for measure in await world.measures()]
    assert [(letter.case, letter.number) for letter in letters if letter.rung == THE_RUNG] == [(CASE, 1)]
    assert len({letter.rung for letter in letters}) == len(letters)
