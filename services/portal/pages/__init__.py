"""The pages. A handler reads the address leniently, asks the views or another service, and picks a template."""

from services.portal.pages import about, cases, home, lists, report, standings, track, what_if

__all__ = ["ROUTERS"]

ROUTERS = (
    home.router,
    cases.router,
    report.router,
    track.router,
    what_if.router,
    standings.router,
    lists.router,
    about.router,
)
