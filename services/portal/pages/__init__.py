"""The pages. A handler reads the address leniently, asks the views or the reports service, and picks a template."""

from services.portal.pages import board, cases, report, track, trial

__all__ = ["ROUTERS"]

ROUTERS = (cases.router, report.router, track.router, trial.router, board.router)
