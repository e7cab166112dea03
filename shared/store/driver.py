"""What the store needs of a database: a port with one real implementation and one in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from shared.store.collection import Document, Filter, Index
from shared.store.unit import Write

Sort = Sequence[tuple[str, int]]


class Driver(Protocol):
    """A replica set's database. Reads see what the majority holds; writes are majority-acknowledged and journaled.

    Every method raises `shared.errors.Unavailable` when the servers do not answer in time.
    """

    async def transact(self, writes: Sequence[Write]) -> None:
        """All writes or none. Raises Duplicate or Conflict without saying which write it was."""
        ...

    async def find(
        self,
        collection: str,
        filter: Filter,
        sort: Sort = (),
        limit: int = 0,
        skip: int = 0,
        fields: Sequence[str] | None = None,
    ) -> list[Document]: ...

    def stream(
        self, collection: str, filter: Filter, sort: Sort = (), fields: Sequence[str] | None = None
    ) -> AsyncGenerator[Document, None]:
        """What `find` finds, however much it is, held in memory a batch at a time; to be closed by who stops early."""
        ...

    async def count(self, collection: str, filter: Filter) -> int: ...

    async def size(self, collection: str) -> int:
        """About how many documents there are, told at once however many."""
        ...

    async def aggregate(self, collection: str, pipeline: Sequence[Document]) -> list[Document]: ...

    async def delete(self, collection: str, filter: Filter) -> int:
        """Deletes outside any unit of work: for rows whose loss or return changes nothing."""
        ...

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or extend the lease; False while another holder has it. Time is the server's."""
        ...

    async def now(self) -> datetime:
        """The server's time, UTC."""
        ...

    async def release(self, name: str, holder: str) -> None: ...

    async def ensure_indexes(self, collection: str, indexes: Sequence[Index]) -> None:
        """Create the collection and what is missing. May be repeated, also by several processes at once.

        An index that is there stays as it is, also when it is declared otherwise now (`shared/store/migration.py`).
        """
        ...

    async def indexes(self, collection: str) -> dict[str, Index]:
        """Those that are there, by name; the one over identities is left out."""
        ...

    async def drop_index(self, collection: str, name: str) -> None: ...

    async def drop(self, collection: str) -> None: ...

    async def upload(self, id: str, content: bytes, metadata: Document) -> None:
        """Keep a file. One that is there already stays as it is."""
        ...

    def download(self, id: str) -> AsyncIterator[bytes]:
        """The file in pieces. Raises NotFound(`file-not-found`)."""
        ...

    async def discard(self, id: str) -> None: ...

    async def server_info(self) -> dict[str, Any]: ...

    async def close(self) -> None: ...
