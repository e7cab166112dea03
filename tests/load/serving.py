"""python -m tests.load.serving URI NAMESPACE PORT FOLDER: the HTTP application of reports on a database, and no more.

Neither workers nor a broker: what is asked of it only reads. Its tokens are those of the issuer in FOLDER.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvicorn

from services.reports.app import SERVICE
from shared.clock import FixedClock
from tests.inprocess import inside
from tests.load.lives import UNTIL


async def serve(mongodb_uri: str, namespace: str, port: int, folder: Path) -> None:
    """Answer until the process is ended."""
    async with inside(SERVICE, FixedClock(UNTIL), folder, mongodb_uri, namespace) as service:
        config = uvicorn.Config(service.app, host="127.0.0.1", port=port, lifespan="off", access_log=False)
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
