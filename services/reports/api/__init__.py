"""The routes of reports, by what they are about; a handler says who may call it and hands over."""

from services.reports.api import (
    cases,
    catalogue,
    documents,
    duplicates,
    figures,
    handling,
    hotline,
    lists,
    moderation,
    photos,
    privacy,
    queue,
    templates,
    tracking,
)

ROUTERS = (
    lists.router,
    queue.router,
    figures.router,
    templates.router,
    handling.bulk_router,
    cases.router,
    handling.router,
    catalogue.router,
    documents.router,
    duplicates.router,
    hotline.router,
    photos.router,
    moderation.router,
    privacy.router,
    tracking.router,
)
