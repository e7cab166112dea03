"""What the office records of the parts of an assessment."""

from __future__ import annotations

from dataclasses import replace

from services.scoring.domain.acts import Act, decide
from services.scoring.domain.results import SOURCE_LIMIT, Mark, Result, fits
from services.scoring.domain.standings import Formula
from services.scoring.repo import RESULTS
from shared.errors import Invalid
from shared.own_cause import Decider
from shared.store import UnitOfWork
from shared.writing import plain_text


async def record(
    uow: UnitOfWork, formula: Formula, scheme: str, period: str, unit: str, mark: Mark, by: Decider
) -> Result:
    """Add what a unit got in a part; what was recorded before stays to be seen.

    Raises Forbidden (decision-on-own-unit), Invalid for what does not fit.
    """
    decide(Act.RECORD_RESULT, by, units=[unit])
    mark = replace(mark, source=plain_text(mark.source, "source", SOURCE_LIMIT, required=True))
    composite = formula.composite(scheme)
    if composite is None:
        raise Invalid("scheme-not-found", field="scheme", scheme=scheme)
    if not fits(composite, period):
        raise Invalid("result-period-unfit", field="period", given=period, per=composite.per)
    id = Result.id_of(scheme, period, unit)
    result = await uow.find(RESULTS, id)
    if result is None:
        result = Result(id, scheme, period, unit)
        result.record(mark, composite)
        uow.insert(RESULTS, result)
    else:
        result.record(mark, composite)
        uow.save(RESULTS, result)
    return result
