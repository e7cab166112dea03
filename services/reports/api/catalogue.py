"""The routes of the catalogue: what can be reported, and where it would go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter

from services.reports.api.access import Anyone, Centre, Editor, Reader, actor_of, resources
from services.reports.commands import catalogue as commands
from services.reports.district import District
from services.reports.domain import Areas, Catalogue, Category, CategoryVersion, Name, Question, Why
from services.reports.domain.catalogue import (
    CODE_LIMIT,
    GUIDANCE_LIMIT,
    INDICATORS_LIMIT,
    OPTIONS_LIMIT,
    QUESTIONS_LIMIT,
    SOURCE_LIMIT,
    SUPPORTING_LIMIT,
    TIMED,
    AnswerKind,
)
from services.reports.repo import CATEGORY_VERSIONS
from shared.auth import Principal
from shared.contracts.reports import Stage
from shared.errors import Invalid, NotFound
from shared.geo import Crs, read_point
from shared.http import IDEMPOTENT, Body, Router, answer
from shared.service import runtime_of
from shared.store import UnitOfWork
from shared.workdays import CalendarEnds

PAGE_LIMIT = 50
LIMIT_EXAMPLE = "2 working days"
router = Router(tags=["catalogue"])


class NameIn(Body):
    """What users read: Chinese first, English beside."""

    zh: str = Field(max_length=GUIDANCE_LIMIT, examples=["暴露垃圾"])
    en: str = Field(default="", max_length=2 * GUIDANCE_LIMIT, examples=["Exposed rubbish"])


class OptionIn(Body):
    """One of the answers to choose from."""

    code: str = Field(max_length=CODE_LIMIT, examples=["smell"])
    name: NameIn


class QuestionIn(Body):
    """What reporters are asked besides the text; `options` for `choice` and `choices` only."""

    code: str = Field(max_length=CODE_LIMIT, examples=["faults"])
    name: NameIn
    kind: AnswerKind
    required: bool = False
    options: list[OptionIn] = Field(default=[], max_length=OPTIONS_LIMIT)


class Content(Body):
    """All that a version of a category says; nothing may be left out, so that nothing is lost by an oversight."""

    name: NameIn
    group: str = Field(max_length=CODE_LIMIT, examples=["appearance"])
    guidance: NameIn
    questions: list[QuestionIn] = Field(max_length=QUESTIONS_LIMIT)
    photo_required: bool
    public: bool
    site_check: bool
    limit: str = Field(max_length=40, examples=[LIMIT_EXAMPLE], description="整改时限 · the limit of rectification")
    limit_source: str = Field(max_length=SOURCE_LIMIT, examples=["示例"])
    limits: dict[Stage, str] = Field(
        max_length=len(TIMED), examples=[{"acknowledge": "1 work-hour"}], description="其他环节 · the other stages"
    )
    points: str = Field(pattern=r"^(0|[1-9][0-9]{0,2})(\.[0-9]{1,2})?$", examples=["0.5"])
    unit: str | None = Field(max_length=CODE_LIMIT, examples=["huanwei"])
    supporting: list[str] = Field(max_length=SUPPORTING_LIMIT, examples=[["chengguan"]])
    triage: bool
    indicators: list[str] = Field(max_length=INDICATORS_LIMIT)


class NewCategory(Content):
    """A category that was not there before."""

    code: str = Field(max_length=CODE_LIMIT, examples=["exposed-rubbish"])


class BasedOn(Body):
    """The version that was read before it was changed: a change of anybody else meanwhile is not overwritten."""

    based_on: int = Field(ge=1, examples=[2])


class ChangedCategory(Content, BasedOn):
    """The whole content of the next version."""


class Node(BaseModel):
    """A group above a category."""

    code: str
    name: str
    name_en: str


class CategoryView(BaseModel):
    """A kind of problem that can be reported; `path` leads to it from the top of the tree."""

    code: str
    version: int
    name: str
    name_en: str
    group: str
    guidance: str
    limit: str
    points: str
    photo_required: bool
    path: list[Node]
    guidance_en: str
    limits: dict[Stage, str]
    public: bool
    site_check: bool
    indicators: tuple[str, ...]
    questions: tuple[Question, ...]
    retired: bool


class VersionView(Content):
    """A version of a category, when (UTC) and by whom it was put to use."""

    code: str
    version: int
    retired: bool
    points: str
    made_at: datetime
    made_by: str


class Versions(BaseModel):
    """The versions of a category, newest first; `before` goes on to older ones, if there are any."""

    code: str
    version: int
    versions: list[VersionView]
    before: int | None


class Destination(BaseModel):
    """Where a problem would go; unit None: to the office's queue. The last of the `reasons` decided."""

    category: str
    at: datetime
    areas: Areas
    site_check: bool
    unit: str | None
    supporting: tuple[str, ...]
    why: Why
    reasons: tuple[Name, ...]


@router.get("/categories", response_model=list[CategoryView], responses={304: {"description": "未变 · As you have it"}})
async def categories(request: Request, caller: Anyone, retired: bool = False) -> Response:
    """问题类别 · What can be reported; with `retired` also what could be."""
    held = resources(request)
    catalogue = await held.catalogue.current()
    body = _CATEGORIES.dump_json(_shown(catalogue, held.district, retired))
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "public, no-cache"}
    known = request.headers.get("if-none-match", "").split(",")
    if tag in {each.strip().removeprefix("W/") for each in known}:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


@router.get("/categories/{code}", response_model=Versions)
async def category(
    request: Request,
    code: str,
    caller: Reader,
    before: Annotated[int, Query(ge=1, le=10**9)] = 10**9,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 20,
) -> Versions:
    """类别各版本 · A category in every version it ever had."""
    catalogue = await resources(request).catalogue.current(fresh=True)
    if (used := catalogue.categories.get(code)) is None:
        raise NotFound("categories-not-found", id=code[:CODE_LIMIT])
    found = await runtime_of(request).store.find(
        CATEGORY_VERSIONS,
        {"category.code": code, "category.version": {"$lt": before}},
        [("category.version", -1)],
        limit + 1,
    )
    more = found[limit - 1].category.version if len(found) > limit else None
    return Versions(code=code, version=used.version, versions=[_version(made) for made in found[:limit]], before=more)


@router.post("/categories", status_code=201, response_model=VersionView, openapi_extra=IDEMPOTENT)
async def create(request: Request, body: NewCategory, caller: Editor) -> Response:
    """新增类别 · A new category."""
    held, wanted = resources(request), _category(body, body.code)

    async def command(uow: UnitOfWork) -> VersionView:
        return _version(await commands.create(uow, held.district, wanted, actor_of(caller)))

    return await _edited(request, command, 201, "/categories/{code}")


@router.put("/categories/{code}", response_model=VersionView, openapi_extra=IDEMPOTENT)
async def change(request: Request, code: str, body: ChangedCategory, caller: Editor) -> Response:
    """修改类别 · The next version of a category; open cases keep theirs."""
    held, wanted = resources(request), _category(body, code)

    async def command(uow: UnitOfWork) -> VersionView:
        return _version(await commands.change(uow, held.district, wanted, body.based_on, actor_of(caller)))

    return await _edited(request, command)


@router.post("/categories/{code}/retire", response_model=VersionView, openapi_extra=IDEMPOTENT)
async def retire(request: Request, code: str, body: BasedOn, caller: Editor) -> Response:
    """停用类别 · The category takes no new cases."""
    return await _retired(request, code, True, body, caller)


@router.post("/categories/{code}/restore", response_model=VersionView, openapi_extra=IDEMPOTENT)
async def restore(request: Request, code: str, body: BasedOn, caller: Editor) -> Response:
    """恢复类别 · The category takes new cases again."""
    return await _retired(request, code, False, body, caller)


@router.get("/routing", response_model=Destination)
async def routing(
    request: Request,
    caller: Centre,
    category: Annotated[str, Query(max_length=CODE_LIMIT, examples=["exposed-rubbish"])],
    longitude: Annotated[float, Query(ge=-180, le=180, examples=[112.6012])],
    latitude: Annotated[float, Query(ge=-90, le=90, examples=[26.8901])],
    crs: Crs = Crs.WGS84,
    at: AwareDatetime | None = None,
) -> Destination:
    """派单预览 · Where a problem would go, and why; without `at`, now."""
    held = resources(request)
    wanted = (await held.catalogue.current()).open(category)
    areas = held.district.areas_at(read_point(longitude, latitude, crs))
    if areas is None:
        raise Invalid("place-outside-district", field="longitude", district=held.district.name.zh)
    moment = at or runtime_of(request).clock.now()
    try:
        found = held.district.router.route(wanted, areas, moment)
    except CalendarEnds as error:
        raise Invalid("calendar-without-year", field="at", year=error.year) from None
    except OverflowError:
        raise Invalid("calendar-without-year", field="at", year=moment.year) from None
    return Destination(
        category=wanted.code,
        at=moment,
        areas=areas,
        site_check=wanted.site_check,
        unit=found.unit,
        supporting=found.supporting,
        why=found.why,
        reasons=found.reasons,
    )


Edit = Callable[[UnitOfWork], Awaitable[VersionView]]
_CATEGORIES = TypeAdapter(list[CategoryView])
_CATEGORY = TypeAdapter(Category)


def _shown(catalogue: Catalogue, district: District, retired: bool) -> list[CategoryView]:
    return [
        CategoryView(
            code=category.code,
            version=category.version,
            name=category.name.zh,
            name_en=category.name.en,
            group=category.group,
            guidance=category.guidance.zh,
            limit=category.limit,
            points=_plain(category.points),
            photo_required=category.photo_required,
            path=[
                Node(code=node.code, name=node.name.zh, name_en=node.name.en)
                for node in district.path_of(category.group)
            ],
            guidance_en=category.guidance.en,
            limits=dict(category.limits),
            public=category.public,
            site_check=category.site_check,
            indicators=category.indicators,
            questions=category.questions,
            retired=category.retired,
        )
        for category in catalogue.categories.values()
        if retired or not category.retired
    ]


def _category(body: Content, code: str) -> Category:
    """The content as a category; commands give it its version."""
    content: dict[str, Any] = body.model_dump(exclude={"code", "based_on"})
    return _CATEGORY.validate_python({**content, "code": code, "version": 0})


def _version(made: CategoryVersion) -> VersionView:
    content: dict[str, Any] = _CATEGORY.dump_python(made.category)
    content["points"] = _plain(made.category.points)
    return VersionView.model_validate({**content, "made_at": made.made_at, "made_by": made.made_by})


def _plain(points: Decimal) -> str:
    return f"{points:f}"


async def _retired(request: Request, code: str, retired: bool, body: BasedOn, by: Principal) -> Response:
    async def command(uow: UnitOfWork) -> VersionView:
        return _version(await commands.retire(uow, code, retired, body.based_on, actor_of(by)))

    return await _edited(request, command)


async def _edited(request: Request, edit: Edit, status: int = 200, location: str | None = None) -> Response:
    """Answered once this process works by what was changed: whoever edits sees the edit at once."""
    response = await answer(request, edit, status, location)
    await resources(request).catalogue.current(fresh=True)
    return response
