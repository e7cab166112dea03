"""The roles a token may bear: what somebody is to the platform."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The only names that give rights; every other in a token gives none.

    HEAD is the head of a unit (一把手) and always has one; LEADER is the district's and never has one. OFFICER and
    LIAISON are a unit's people, OFFICE and DISPATCHER the 创建办's. OPERATOR runs the platform and edits nothing of
    the office's. INTEGRATOR is another department's system, SERVICE another service of the platform.
    """

    CITIZEN = "citizen"
    VOLUNTEER = "volunteer"
    OFFICER = "officer"
    LIAISON = "liaison"
    VERIFIER = "verifier"
    INSPECTOR = "inspector"
    OFFICE = "office"
    DISPATCHER = "dispatcher"
    HEAD = "head"
    LEADER = "leader"
    DISCIPLINE = "discipline"
    OPERATOR = "operator"
    INTEGRATOR = "integrator"
    SERVICE = "service"


CENTRE = frozenset({Role.OFFICE, Role.DISPATCHER})
"""The 创建办's people at work on cases."""
UNIT = frozenset({Role.OFFICER, Role.LIAISON})
"""A unit's people at work on cases."""
OVERSIGHT = frozenset({Role.OFFICE, Role.LEADER, Role.DISCIPLINE})
"""Who sees what scoring has in hand, whichever unit it is about."""
STAFF = OVERSIGHT | CENTRE | {Role.VERIFIER}
"""Who sees every case, whichever unit it is with."""
