"""The routes of reports, by what they are about; a handler says who may call it and hands over."""

from services.reports.api import (
    bulk,
    cases,
    catalogue,
    documents,
    duplicates,
    imports,
    moderation,
    photos,
    privacy,
    queries,
    tracking,
)

ROUTERS = (
    queries.router,
    bulk.router,
    cases.router,
    catalogue.router,
    documents.router,
    duplicates.router,
    imports.router,
    photos.router,
    moderation.router,
    privacy.router,
    tracking.router,
)
