"""The published description of a service: who may call what, and every way it may be refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from shared.auth import Access, declared_access
from shared.http.problems import MEDIA_TYPE
from shared.messages import Messages

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457 problem details; further members are the parameters of the sentence (`limit`).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:chuangwen:problem:"},
        "title": {"type": "string", "description": "中文，或按 Accept-Language 为英文"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "code": {"type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$"},
        "field": {"type": "string", "description": "Dotted path of the (first) input at fault"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {name: {"type": "string"} for name in ("field", "code", "message")},
            },
        },
        "request_id": {"type": "string", "description": "To be quoted when asking for help"},
    },
    "additionalProperties": True,
}
# Response component → status and the code shown as its example.
_REFUSALS = {
    "Malformed": (400, "body-malformed"),
    "Unauthenticated": (401, "token-missing"),
    "Forbidden": (403, "role-required"),
    "NotFound": (404, "route-not-found"),
    "Conflict": (409, "conflict"),
    "TooLarge": (413, "body-too-large"),
    "UnsupportedType": (415, "content-type-unsupported"),
    "Invalid": (422, "validation"),
    "TooMany": (429, "rate-limited"),
    "Internal": (500, "internal"),
    "Unavailable": (503, "unavailable"),
}
_WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def describe(app: FastAPI, messages: Messages) -> dict[str, Any]:
    """FastAPI's description with our problems, roles and security instead of its own."""
    document = FastAPI.openapi(app)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    components["responses"] = {name: _refusal(name, messages) for name in _REFUSALS}
    components.setdefault("securitySchemes", {})[Access.scheme_name] = Access.model.model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute) and context.include_in_schema:
            for method in context.methods or ():
                _describe_operation(document["paths"][context.path_format][method.lower()], context, method)
    return document


def _describe_operation(operation: dict[str, Any], context: RouteContext, method: str) -> None:
    access = declared_access(context.dependant)
    if access is not None:
        _describe_access(operation, access)
    responses = operation["responses"]
    if MEDIA_TYPE not in responses.get("422", {}).get("content", {}):
        responses.pop("422", None)
    for name in _possible(context, method, access):
        responses.setdefault(str(_REFUSALS[name][0]), {"$ref": f"#/components/responses/{name}"})


def _describe_access(operation: dict[str, Any], access: Access) -> None:
    roles = sorted(access.roles)
    operation["security"] = [{}, {Access.scheme_name: []}] if access.anonymous else [{Access.scheme_name: roles}]
    operation["x-roles"] = roles
    who = "任何人 · anyone" if access.anonymous else ", ".join(roles) or "已登录用户 · any known caller"
    operation["description"] = "\n\n".join(filter(None, (operation.get("description"), f"角色 · Roles: {who}")))


def _possible(context: RouteContext, method: str, access: Access | None) -> Iterable[str]:
    yield from ("Unauthenticated", "TooMany", "Internal", "Unavailable")
    if access is not None and access.roles:
        yield "Forbidden"
    if context.body_field is not None:
        yield from ("Malformed", "TooLarge", "UnsupportedType")
    if context.dependant.path_params:
        yield "NotFound"
    if method in _WRITING:
        yield from ("Conflict", "Invalid")
    if context.body_field is not None or context.dependant.query_params or context.dependant.path_params:
        yield "Invalid"


def _refusal(name: str, messages: Messages) -> dict[str, Any]:
    status, code = _REFUSALS[name]
    title = messages.text(code)
    example = {
        "type": f"urn:chuangwen:problem:{code}",
        "title": title,
        "status": status,
        "detail": title,
        "code": code,
        "request_id": "9f2c4e0b7a1d4c55",
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}}
    return {"description": f"{title} · {messages.text(code, 'en')}", "content": content}
