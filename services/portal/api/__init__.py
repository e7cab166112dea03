"""The JSON twins of the pages, and the ranking as a stream of server-sent events."""

from services.portal.api import cases, standings

__all__ = ["ROUTERS"]

ROUTERS = (cases.router, standings.router)
