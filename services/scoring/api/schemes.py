"""The routes of the assessment scheme: its versions, their tables, and what is measured by them."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Path, Query, Request, Response
from pydantic import AwareDatetime, Field

from services.scoring.api import workbook
from services.scoring.api.access import Anyone, may, resources_of
from services.scoring.commands import schemes as commands
from services.scoring.domain.acts import Act
from services.scoring.domain.differences import differences
from services.scoring.domain.marking import COUNT_LIMIT, Marking, RuleKind
from services.scoring.domain.schemes import (
    LIST_LIMIT,
    NAME_LIMIT,
    STANDARDS_LIMIT,
    TEXT_LIMIT,
    Category,
    Content,
    Method,
    SchemeContent,
    Standard,
)
from services.scoring.domain.writing import CODE_LIMIT
from services.scoring.views.schemes import (
    SchemeDifferences,
    SchemeSummary,
    SchemeView,
    scheme_list,
    scheme_of,
    summary,
    version_in_force,
    whole,
)
from shared.auth import Principal
from shared.errors import Invalid, Unsupported
from shared.http import BODY_LIMIT, IDEMPOTENT, Router, answer
from shared.http.body import Body
from shared.roles import OVERSIGHT
from shared.service import runtime_of
from shared.store import UnitOfWork

MOST_BYTES = 4 * 1024 * 1024
DAY = r"^20\d{2}-[01]\d-[0-3]\d$"
POINTS = r"^(0|[1-9][0-9]{0,2})(\.[0-9]{1,2})?$"

router = Router(tags=["schemes"])

Version = Annotated[int, Path(ge=1, le=10**9)]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_AS_TABLE: dict[str, Any] = {
    **IDEMPOTENT,
    BODY_LIMIT: MOST_BYTES,
    "requestBody": {"required": True, "content": {workbook.XLSX: _BINARY}},
}
_TABLE: dict[int | str, dict[str, Any]] = {
    200: {"content": {workbook.XLSX: _BINARY}, "description": "责任分解表 · The table"}
}
GONE: dict[int | str, dict[str, Any]] = {404: {"$ref": "#/components/responses/NotFound"}}
_REFUSED: dict[int | str, dict[str, Any]] = {
    413: {"$ref": "#/components/responses/TooLarge"},
    415: {"$ref": "#/components/responses/UnsupportedType"},
}


Code = Annotated[str, Field(max_length=CODE_LIMIT)]


class MarkingIn(Body):
    """计分方式 · The rule: points of each finding or missing one, and the count aimed at."""

    kind: RuleKind
    each: str | None = Field(default=None, pattern=POINTS, examples=["0.5"])
    target: int | None = Field(default=None, ge=1, le=COUNT_LIMIT)


class StandardIn(Body):
    """测评标准 · A standard."""

    code: Code = Field(examples=["示例-环境-01-1"])
    text: str = Field(max_length=2 * TEXT_LIMIT, examples=["路面无暴露垃圾，每发现一处扣0.5分"])
    points: str = Field(pattern=POINTS, examples=["10"])
    marking: MarkingIn
    methods: list[Method] = Field(max_length=LIST_LIMIT)
    venues: list[Code] = Field(default=[], max_length=LIST_LIMIT, examples=[["arterial-road"]])
    lead: Code | None = Field(default=None, examples=["huanwei"])
    supporting: list[Code] = Field(default=[], max_length=LIST_LIMIT)
    due: str | None = Field(default=None, pattern=DAY, examples=["2026-12-31"])
    source: str = Field(default="", max_length=2 * NAME_LIMIT, examples=["示例"])


class ContentIn(Body):
    """测评内容 · A content, which is an indicator."""

    code: Code = Field(examples=["示例-环境-01"])
    name: str = Field(max_length=2 * NAME_LIMIT)
    standards: list[StandardIn] = Field(max_length=STANDARDS_LIMIT)


class CategoryIn(Body):
    """测评项目 · A category; `part` is the 测评类别 above it."""

    code: Code
    name: str = Field(max_length=2 * NAME_LIMIT)
    part: str = Field(default="", max_length=2 * NAME_LIMIT)
    contents: list[ContentIn] = Field(max_length=STANDARDS_LIMIT)


class NewScheme(Body):
    """All that a version says."""

    name: str = Field(max_length=2 * NAME_LIMIT, examples=["2027年测评体系"])
    source: str = Field(default="", max_length=2 * NAME_LIMIT)
    categories: list[CategoryIn] = Field(default=[], max_length=STANDARDS_LIMIT)

    def wanted(self) -> SchemeContent:
        """As the domain has it."""
        return SchemeContent(self.name, self.source, tuple(map(_category, self.categories)))


class BasedOn(Body):
    """The revision that was read: an edit of anybody else meanwhile is neither overwritten nor published unread."""

    based_on: int = Field(ge=1, examples=[1])


class ChangedScheme(NewScheme, BasedOn):
    """The whole content of the draft."""


class Copied(Body):
    """What the new draft is called."""

    name: str = Field(max_length=2 * NAME_LIMIT)


class Publication(BasedOn):
    """From which day on (Asia/Shanghai) the version is in force: today at the earliest."""

    effective_from: str = Field(pattern=DAY, examples=["2027-01-01"])


@router.get("/schemes", response_model=list[SchemeSummary])
async def schemes(request: Request, caller: Anyone) -> list[SchemeSummary]:
    """测评体系各版本 · The versions of the scheme, newest first; drafts for staff only."""
    return await scheme_list(runtime_of(request).store, drafts=caller.has(*OVERSIGHT))


@router.get("/schemes/in-force", response_model=SchemeView, responses=GONE)
async def in_force(request: Request, caller: Anyone, at: AwareDatetime | None = None) -> SchemeView:
    """现行测评体系 · The version in force at a moment; without `at`, now."""
    runtime = runtime_of(request)
    version = await version_in_force(runtime.store, at or runtime.clock.now())
    return whole(*await scheme_of(runtime.store, version, drafts=False))


@router.get("/schemes/{version}", response_model=SchemeView)
async def scheme(request: Request, version: Version, caller: Anyone) -> SchemeView:
    """测评体系 · A version with all that it says."""
    return whole(*await scheme_of(runtime_of(request).store, version, drafts=caller.has(*OVERSIGHT)))


@router.get("/schemes/{version}/differences", response_model=SchemeDifferences)
async def compare(
    request: Request, version: Version, caller: Anyone, since: Annotated[int, Query(ge=1, le=10**9)]
) -> SchemeDifferences:
    """版本对比 · What the version has otherwise than the version `since`, field by field."""
    store, drafts = runtime_of(request).store, caller.has(*OVERSIGHT)
    _, before = await scheme_of(store, since, drafts=drafts)
    _, after = await scheme_of(store, version, drafts=drafts)
    return SchemeDifferences(before=since, after=version, differences=differences(before, after))


@router.get("/schemes/{version}/table", response_class=Response, responses=_TABLE)
async def table(request: Request, version: Version, caller: Annotated[Principal, may(Act.EXPORT_SCHEME)]) -> Response:
    """导出责任分解表 · The version as an Excel table, which may be edited and imported again."""
    words = resources_of(request).district.words
    found, tree = await scheme_of(runtime_of(request).store, version, drafts=caller.has(*OVERSIGHT))
    content = await asyncio.to_thread(workbook.written, found.name, found.source, version, tree, words)
    name = quote(f"责任分解表-第{version}版.xlsx")
    return Response(
        content, headers={"content-disposition": f"attachment; filename*=UTF-8''{name}"}, media_type=workbook.XLSX
    )


@router.post(
    "/schemes", status_code=201, response_model=SchemeSummary, openapi_extra=IDEMPOTENT | {BODY_LIMIT: MOST_BYTES}
)
async def create(request: Request, body: NewScheme, caller: Annotated[Principal, may(Act.DRAFT_SCHEME)]) -> Response:
    """新建草稿 · A new version, as a draft."""
    return await _drafted(request, body.wanted(), caller)


@router.post(
    "/schemes/import", status_code=201, response_model=SchemeSummary, openapi_extra=_AS_TABLE, responses=_REFUSED
)
async def import_new(
    request: Request,
    caller: Annotated[Principal, may(Act.DRAFT_SCHEME)],
    name: Annotated[str | None, Query(max_length=NAME_LIMIT)] = None,
) -> Response:
    """导入责任分解表 · A new draft from an Excel table; every fault is told at once, each by its cell."""
    return await _drafted(request, await _imported(request, name), caller)


@router.put("/schemes/{version}", response_model=SchemeSummary, openapi_extra=IDEMPOTENT | {BODY_LIMIT: MOST_BYTES})
async def rewrite(
    request: Request, version: Version, body: ChangedScheme, caller: Annotated[Principal, may(Act.DRAFT_SCHEME)]
) -> Response:
    """修改草稿 · The whole content of a draft."""
    return await _rewritten(request, version, body.based_on, body.wanted(), caller)


@router.post("/schemes/{version}/import", response_model=SchemeSummary, openapi_extra=_AS_TABLE, responses=_REFUSED)
async def import_into(
    request: Request,
    version: Version,
    caller: Annotated[Principal, may(Act.DRAFT_SCHEME)],
    based_on: Annotated[int, Query(ge=1, le=10**9)],
    name: Annotated[str | None, Query(max_length=NAME_LIMIT)] = None,
) -> Response:
    """导入到草稿 · An Excel table in the place of all that a draft says."""
    return await _rewritten(request, version, based_on, await _imported(request, name), caller)


@router.post("/schemes/{version}/copy", status_code=201, response_model=SchemeSummary, openapi_extra=IDEMPOTENT)
async def copy(
    request: Request, version: Version, body: Copied, caller: Annotated[Principal, may(Act.DRAFT_SCHEME)]
) -> Response:
    """复制为草稿 · A draft that says what this version says."""

    async def command(uow: UnitOfWork) -> SchemeSummary:
        return summary(await commands.copy(uow, version, body.name, caller.subject))

    return await answer(request, command, 201, "/schemes/{version}")


@router.post("/schemes/{version}/publish", response_model=SchemeSummary, openapi_extra=IDEMPOTENT)
async def publish(
    request: Request, version: Version, body: Publication, caller: Annotated[Principal, may(Act.PUBLISH_SCHEME)]
) -> Response:
    """发布 · The draft never changes again and is in force from its day on."""
    known, day = resources_of(request).district.words.known, body.effective_from

    async def command(uow: UnitOfWork) -> SchemeSummary:
        return summary(await commands.publish(uow, known, version, body.based_on, day, caller))

    return await answer(request, command, 200)


@router.post("/schemes/{version}/retire", response_model=SchemeSummary, openapi_extra=IDEMPOTENT)
async def retire(request: Request, version: Version, caller: Annotated[Principal, may(Act.RETIRE_SCHEME)]) -> Response:
    """停用 · The version is no longer in force; one that has not begun is called off."""

    async def command(uow: UnitOfWork) -> SchemeSummary:
        return summary(await commands.retire(uow, version, caller))

    return await answer(request, command, 200)


async def _drafted(request: Request, wanted: SchemeContent, by: Principal) -> Response:
    known = resources_of(request).district.words.known

    async def command(uow: UnitOfWork) -> SchemeSummary:
        return summary(await commands.draft(uow, known, wanted, by.subject))

    return await answer(request, command, 201, "/schemes/{version}")


async def _rewritten(request: Request, version: int, based_on: int, wanted: SchemeContent, by: Principal) -> Response:
    known = resources_of(request).district.words.known

    async def command(uow: UnitOfWork) -> SchemeSummary:
        return summary(await commands.rewrite(uow, known, version, based_on, wanted, by.subject))

    return await answer(request, command, 200)


async def _imported(request: Request, name: str | None) -> SchemeContent:
    """The content of the table in the body; a name that is given comes before the one in the table."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != workbook.XLSX:
        raise Unsupported("content-type-unsupported", expected=workbook.XLSX)
    words = resources_of(request).district.words
    named, source, tree = await asyncio.to_thread(workbook.read, await request.body(), words)
    if not (name or named):
        raise Invalid("scheme-unnamed", field="name")
    return SchemeContent(name or named, source, tree)


def _category(body: CategoryIn) -> Category:
    return Category(body.code, body.name, tuple(map(_content, body.contents)), body.part)


def _content(body: ContentIn) -> Content:
    return Content(body.code, body.name, tuple(map(_standard, body.standards)))


def _standard(body: StandardIn) -> Standard:
    each = body.marking.each
    return Standard(
        code=body.code,
        text=body.text,
        points=Decimal(body.points),
        marking=Marking(body.marking.kind, None if each is None else Decimal(each), body.marking.target),
        methods=tuple(body.methods),
        venues=tuple(body.venues),
        lead=body.lead,
        supporting=tuple(body.supporting),
        due=body.due,
        source=body.source,
    )
