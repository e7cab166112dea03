"""Numbers of official papers: 〔year〕第n号, each row of numbers without a gap."""

from __future__ import annotations

from dataclasses import dataclass

from shared.store import Collection, UnitOfWork


@dataclass
class Serial:
    """The last number given in a row of numbers: `<kind>/…/<year>`, the year in Asia/Shanghai."""

    id: str
    last: int = 0

    @staticmethod
    def id_of(*row: object) -> str:
        """The identity of a row of numbers."""
        return "/".join(map(str, row))


SERIALS = Collection("serials", Serial)


async def next_number(uow: UnitOfWork, *row: object) -> int:
    """The number that follows in the row, from 1 on; given for good when the unit of work is committed.

    Of two units that want the same number one hears Conflict and decides again, where the row is the first that both
    have read: documents are written in the order in which they were looked for.
    """
    serial = await uow.find(SERIALS, Serial.id_of(*row))
    if serial is None:
        serial = Serial(Serial.id_of(*row))
        uow.insert(SERIALS, serial)
    serial.last += 1
    uow.save(SERIALS, serial)
    return serial.last
