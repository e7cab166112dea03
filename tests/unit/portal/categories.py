"""Categories as the reports service tells them."""

from __future__ import annotations

from typing import Any


def category(code: str, **change: Any) -> dict[str, Any]:
    """A category in the answer of `GET /categories`, with members that the portal has no use for."""
    return {
        "code": code,
        "version": 1,
        "name": f"类别 {code}",
        "name_en": f"Category {code}",
        "group": "appearance",
        "guidance": "请拍到全貌。",
        "limit": "1 working day",
        "points": "0.5",
        "photo_required": False,
        "path": [
            {"code": "incident", "name": "事件", "name_en": "Incidents"},
            {"code": "appearance", "name": "市容环境", "name_en": "City appearance"},
        ],
        "guidance_en": "Show all of it.",
        "limits": {},
        "public": True,
        "site_check": False,
        "indicators": [],
        "questions": [],
        "retired": False,
        **change,
    }


def asked(code: str, kind: str = "text", **change: Any) -> dict[str, Any]:
    """A question as it stands there."""
    options = [{"code": "one", "name": {"zh": "一", "en": "one"}}, {"code": "two", "name": {"zh": "二", "en": "two"}}]
    return {
        "code": code,
        "name": {"zh": f"问题 {code}", "en": f"Question {code}"},
        "kind": kind,
        "required": False,
        "options": options if kind in {"choice", "choices"} else [],
        **change,
    }
