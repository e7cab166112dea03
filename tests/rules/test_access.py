"""Who may call what is written down as it is: `docs/access.md`."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import APIRouter, Depends

from shared.auth import anyone, require
from shared.http import Router
from shared.http.matrix import Row, Undeclared, rows_of, services_in, table
from shared.roles import Role

PAGE = Path(__file__).parents[2] / "docs" / "access.md"
REMEDY = "who may call what has changed: python -m shared.http matrix > docs/access.md"


class Small:
    """A service of one router."""

    name = "small"

    def __init__(self, *routers: Router) -> None:
        self.routers = routers


def router(*dependencies: object) -> Router:
    routes = Router()
    routes.add_api_route("/cases/{id}", lambda: None, dependencies=list(dependencies))  # type: ignore[arg-type]
    return routes


def allowed(row: Row) -> dict[str, bool]:
    names = ["anyone", "known", *Role]
    return dict(zip(names, [cell == "●" for cell in list(row.cells())[5:]], strict=True))


def test_the_page_is_that_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == table(services_in()), REMEDY


def test_every_route_of_every_service_has_its_row() -> None:
    services = services_in()
    assert [service.name for service in services] == ["portal", "reports", "scoring"]
    page = PAGE.read_text(encoding="utf-8").splitlines()
    for service in services:
        for part in service.routers:
            assert isinstance(part, APIRouter)
            for route in part.routes:
                path = getattr(route, "path", "")
                assert any(line.startswith(f"| {service.name} |") and f"`{path}`" in line for line in page), path


def test_a_route_that_says_nothing_has_no_row() -> None:
    with pytest.raises(Undeclared, match=r"small /cases/\{id\}"):
        list(rows_of(Small(router())))


def test_a_row_tells_roles_and_act() -> None:
    [row] = rows_of(Small(router(Depends(require(Role.OFFICE, Role.HEAD, act="verify")))))
    assert [name for name, may in allowed(row).items() if may] == ["office", "head"]
    assert list(row.cells())[:5] == ["small", "GET", "`/cases/{id}`", "verify", ""]
    [row] = rows_of(Small(router(Depends(require(Role.OFFICE, act="verify", impartial=True)))))
    assert list(row.cells())[4] == "●"
    [row] = rows_of(Small(router(Depends(require()))))
    assert [name for name, may in allowed(row).items() if not may] == ["anyone"]
    [row] = rows_of(Small(router(Depends(anyone()))))
    assert all(allowed(row).values())
