"""The routes of scoring, by what they are about; a handler says who may call it and hands over."""

from services.scoring.api import (
    appeals,
    lists,
    matrix,
    measures,
    negative,
    periods,
    proposals,
    rules,
    schemes,
    standings,
)

ROUTERS = (
    standings.router,
    periods.router,
    rules.router,
    proposals.router,
    appeals.router,
    measures.router,
    lists.router,
    schemes.router,
    matrix.router,
    negative.router,
)
