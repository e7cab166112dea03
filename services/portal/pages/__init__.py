"""The pages. A handler reads the address leniently, asks the views or the reports service, and picks a template."""

from services.portal.pages import board, cases, report, track

__all__ = ["ROUTERS"]

ROUTERS = (cases.router, report.router, track.router, board.router)
