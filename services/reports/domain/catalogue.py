"""What can be reported and who answers for it: categories and units, as the district's files define them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Name:
    """What users read: Chinese first, English beside."""

    zh: str
    en: str


@dataclass(frozen=True)
class Unit:
    """A responsible unit (责任单位).

    `kind` is department, bureau, subdistrict, community or enterprise; `group` names the units it is ranked
    among.
    """

    code: str
    name: Name
    kind: str
    group: str


@dataclass(frozen=True)
class Category:
    """A kind of problem (问题类别) in one version; a case keeps the version it was filed under.

    `limit` is a time limit as the office writes it ("4 work-hours", "2 working days") and `limit_source` says
    who set it (示例: nobody did). `points` is what an overdue case costs its unit. `unit` answers for the
    category wherever no closer rule exists, None leaves it to the community. With `triage` the office decides
    first. Cases of a category that is not `public` show neither address nor photos outside the service.
    """

    code: str
    version: int
    name: Name
    group: str
    limit: str
    limit_source: str
    points: Decimal
    unit: str | None = None
    triage: bool = False
    photo_required: bool = False
    public: bool = True
    guidance: Name = Name("", "")


@dataclass(frozen=True)
class Group:
    """A node above the categories, or a set of units ranked together; `parent` is None at the top."""

    code: str
    name: Name
    parent: str | None = None
