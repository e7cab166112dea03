"""What readers see: one case, lists and queues of cases, the map, exports and figures."""

from services.reports.views.case import STAFF, CaseView, Happened, case_view, sees_inside

__all__ = ["STAFF", "CaseView", "Happened", "case_view", "sees_inside"]
