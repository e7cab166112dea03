"""The routes of scoring, by what they are about; a handler says who may call it and hands over."""

from services.scoring.api import (
    appeals,
    attachments,
    entries,
    lists,
    measurements,
    measures,
    negative,
    periods,
    proposals,
    responsibility,
    results,
    rules,
    schemes,
    standings,
)

ROUTERS = (
    standings.router,
    periods.router,
    results.router,
    rules.router,
    proposals.router,
    entries.router,
    appeals.router,
    measures.router,
    lists.router,
    schemes.router,
    measurements.router,
    responsibility.router,
    attachments.router,
    negative.router,
)
