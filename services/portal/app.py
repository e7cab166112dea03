"""The portal put together."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import Mount

from services.portal import api, pages
from services.portal.handlers import BOARD
from services.portal.pages import unknown
from services.portal.rendering import STATIC, Assets
from services.portal.repo import HANDED, SESSIONS
from services.portal.resources import Resources, prepare
from services.portal.settings import Settings
from shared.service import Service

SERVICE = Service[Resources](
    name="portal",
    routers=[*api.ROUTERS, *pages.ROUTERS],
    collections=[HANDED, SESSIONS],
    read_models=[BOARD],
    settings=Settings,
    messages=[Path(__file__).with_name("messages.json")],
    prepare=prepare,
    mounts=[Mount("/static", Assets(directory=STATIC), name="static"), *unknown.router.routes],
)
