"""The HTTP edge of a service: an application whose routes say who they are for and fail in one form.

router = Router(prefix="/cases", tags=["cases"])

@router.post("", status_code=201, response_model=CaseView, openapi_extra=IDEMPOTENT)
async def submit(request: Request, body: SubmitCase, caller: Annotated[Principal, Depends(anyone())]) -> Response:
    return await answer(request, lambda uow: commands.submit(uow, body, caller), location="/cases/{id}")
"""

from shared.http.application import Limits, Probe, UndeclaredRoute, create_app, operations_app
from shared.http.body import Body
from shared.http.download import Download, Slots, holder_of
from shared.http.edge import BODY_LIMIT
from shared.http.idempotency import IDEMPOTENT, answer, answer_each
from shared.http.limits import RateLimit, client_address, subscriber
from shared.http.routing import Router
from shared.http.shares import Shares

__all__ = [
    "BODY_LIMIT",
    "IDEMPOTENT",
    "Body",
    "Download",
    "Limits",
    "Probe",
    "RateLimit",
    "Router",
    "Shares",
    "Slots",
    "UndeclaredRoute",
    "answer",
    "answer_each",
    "client_address",
    "create_app",
    "holder_of",
    "operations_app",
    "subscriber",
]
