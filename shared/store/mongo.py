"""The store's driver on a MongoDB replica set, through motor or PyMongo Async.

Motor reached its end of life in May 2026 and its successor ships in the same dependency; both speak nearly the
same interface, so one class serves both and `_Dialect` holds what differs (docs/decisions/0003).
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

# How many threads motor may use; it reads the variable when imported and would otherwise count the node's cores.
os.environ.setdefault("MOTOR_MAX_WORKERS", "32")

import bson
import gridfs
from bson.codec_options import CodecOptions, TypeCodec, TypeRegistry
from bson.decimal128 import Decimal128
from gridfs.errors import FileExists, NoFile
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorGridFSBucket
from pymongo import AsyncMongoClient, DeleteOne, IndexModel, InsertOne, ReplaceOne, ReturnDocument
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from shared.certificates import ClientContext
from shared.errors import Conflict, Duplicate, NotFound, Unavailable
from shared.settings import Misconfigured, StoreSettings
from shared.store.collection import Document, Filter, Index
from shared.store.driver import Sort
from shared.store.unit import Change, Write

MAJORITY = WriteConcern("majority", j=True)
LOSABLE = WriteConcern(1)
DUPLICATE_KEY = 11000
NAMESPACE_EXISTS = 48
TRANSACTIONS = 2
"""How often a transaction is tried that lost a race; then its group is split, so that only the loser hears of it."""
COMMITS = 3
"""How often it is asked whether a commit has happened."""
STREAMED = 1000
"""Documents a stream asks for at a time."""


class _DecimalCodec(TypeCodec):
    python_type = Decimal
    bson_type = Decimal128

    def transform_python(self, value: Decimal) -> Decimal128:
        return Decimal128(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        return value.to_decimal()


CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC, type_registry=TypeRegistry([_DecimalCodec()]))


def bytes_of(document: Document) -> bytes:
    """The document as the server keeps it, down to the trailing zeros of a decimal and the order of the fields."""
    found: bytes = bson.encode(document, codec_options=CODEC)
    return found


@dataclass(frozen=True)
class _Dialect:
    """What motor and PyMongo Async do differently."""

    client: Callable[..., Any]
    bucket: Callable[..., Any]
    session: Callable[[Any], Awaitable[Any]]
    begin: Callable[[Any], Awaitable[Any]]
    cursor: Callable[[Any], Awaitable[Any]]
    close: Callable[[Any], Awaitable[None]]


async def _motor_session(client: Any) -> Any:
    return await client.start_session()


async def _pymongo_session(client: Any) -> Any:
    return client.start_session()


_HOW = {"read_concern": ReadConcern("snapshot"), "write_concern": MAJORITY}


async def _motor_begin(session: Any) -> Any:
    return session.start_transaction(**_HOW)


async def _pymongo_begin(session: Any) -> Any:
    return await session.start_transaction(**_HOW)


async def _as_is(value: Any) -> Any:
    return value


async def _awaited(value: Any) -> Any:
    return await value


async def _motor_close(client: Any) -> None:
    client.close()


async def _pymongo_close(client: Any) -> None:
    await client.close()


DIALECTS = {
    "motor": _Dialect(AsyncIOMotorClient, AsyncIOMotorGridFSBucket, _motor_session, _motor_begin, _as_is, _motor_close),
    "pymongo": _Dialect(
        AsyncMongoClient, gridfs.AsyncGridFSBucket, _pymongo_session, _pymongo_begin, _awaited, _pymongo_close
    ),
}


@dataclass(frozen=True)
class Access:
    """How a server is let to know us, and how many connections we may open."""

    username: str | None = None
    password: str | None = None
    tls: ClientContext | None = None
    pool: int = 24

    def options(self) -> dict[str, Any]:
        """What the client is given."""
        options: dict[str, Any] = {"maxPoolSize": self.pool}
        if self.username is not None:
            options |= {"username": self.username, "password": self.password}
        return options | ({"tls": True} if self.tls else {})


class MongoDriver:
    """One database of a replica set or sharded cluster, MongoDB 6 or newer."""

    def __init__(
        self,
        uri: str,
        database: str,
        dialect: Literal["motor", "pymongo"] = "motor",
        patience: float = 5.0,
        access: Access = Access(),
    ) -> None:
        """`patience`: seconds to look for a primary before a call raises Unavailable."""
        self._dialect = DIALECTS[dialect]
        self._client = self._dialect.client(
            uri,
            serverSelectionTimeoutMS=int(patience * 1000),
            connectTimeoutMS=int(patience * 1000),
            socketTimeoutMS=30_000,
            appname="chuangwen",
            connect=False,
            **access.options(),
        )
        if access.tls is not None:
            # The driver reads certificates once, and has no public way to be handed a context that reads them again.
            self._client.options.pool_options._PoolOptions__ssl_context = access.tls
        self._database = self._client.get_database(
            database, codec_options=CODEC, read_concern=ReadConcern("majority"), write_concern=MAJORITY
        )

    @classmethod
    def of(cls, settings: StoreSettings, database: str) -> MongoDriver:
        """The database of that name, as the settings say. Raises Misconfigured when a certificate is none."""
        ca, certificate = settings.mongodb_ca_file, settings.mongodb_certificate_file
        try:
            tls = ClientContext(ca, certificate) if ca or certificate else None
        except OSError as error:
            raise Misconfigured(f"MONGODB_CA_FILE, MONGODB_CERTIFICATE_FILE: {error}") from error
        access = Access(settings.mongodb_username, settings.mongodb_password, tls, settings.mongodb_pool)
        return cls(settings.mongodb_uri, settings.namespace + database, settings.store_driver, access=access)

    async def transact(self, writes: Sequence[Write]) -> None:
        plan: dict[str, list[Write]] = defaultdict(list)
        for write in writes:
            plan[write.collection].append(write)

        with _our_errors():
            async with await self._dialect.session(self._client) as session:
                for failed in range(TRANSACTIONS):
                    try:
                        await self._transact(plan, session)
                    except PyMongoError as error:
                        if failed == TRANSACTIONS - 1 or not error.has_error_label("TransientTransactionError"):
                            raise
                        await asyncio.sleep(random.uniform(0, 0.01))  # noqa: S311  (jitter, no secret)
                    else:
                        return

    async def _transact(self, plan: Mapping[str, list[Write]], session: Any) -> None:
        """One try. The driver's own `with_transaction` would go on for two minutes, holding up everybody else."""
        await self._dialect.begin(session)
        written = False
        try:
            for name, writes in plan.items():
                await self._apply(name, writes, session)
            written = True
        finally:
            if not written:
                with suppress(PyMongoError):
                    await session.abort_transaction()
        for asked in range(COMMITS):
            try:
                await session.commit_transaction()
            except PyMongoError as error:
                if asked == COMMITS - 1 or not error.has_error_label("UnknownTransactionCommitResult"):
                    raise
            else:
                return

    async def _apply(self, name: str, writes: list[Write], session: Any) -> None:
        collection = self._database[name]
        if all(write.change is Change.INSERT for write in writes):
            await collection.insert_many([write.document for write in writes], ordered=False, session=session)
            return
        outcome = await collection.bulk_write([_operation(write) for write in writes], ordered=False, session=session)
        done = outcome.inserted_count + outcome.matched_count + outcome.upserted_count + outcome.deleted_count
        if done != len(writes):
            raise Conflict(f"a document in {name} is not the one that was read")

    async def find(
        self,
        collection: str,
        filter: Filter,
        sort: Sort = (),
        limit: int = 0,
        skip: int = 0,
        fields: Sequence[str] | None = None,
    ) -> list[Document]:
        with _our_errors():
            cursor = self._cursor(collection, filter, sort, fields, skip=skip, limit=limit)
            found: list[Document] = await cursor.to_list(None)
            return found

    async def stream(
        self, collection: str, filter: Filter, sort: Sort = (), fields: Sequence[str] | None = None
    ) -> AsyncGenerator[Document, None]:
        with _our_errors():
            cursor = self._cursor(collection, filter, sort, fields, batch_size=STREAMED)
            try:
                async for document in cursor:
                    yield document
            finally:
                await cursor.close()

    async def count(self, collection: str, filter: Filter) -> int:
        with _our_errors():
            counted: int = await self._database[collection].count_documents(filter)
            return counted

    async def size(self, collection: str) -> int:
        with _our_errors():
            about: int = await self._database[collection].estimated_document_count()
            return about

    async def aggregate(self, collection: str, pipeline: Sequence[Document]) -> list[Document]:
        with _our_errors():
            cursor = await self._dialect.cursor(self._database[collection].aggregate(list(pipeline)))
            found: list[Document] = await cursor.to_list(None)
            return found

    async def delete(self, collection: str, filter: Filter) -> int:
        with _our_errors():
            losable = self._database[collection].with_options(write_concern=LOSABLE)
            deleted: int = (await losable.delete_many(filter)).deleted_count
            return deleted

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        free = {"$or": [{"$eq": [{"$ifNull": ["$holder", holder]}, holder]}, {"$lt": ["$until", "$$NOW"]}]}
        until = {"$add": ["$$NOW", int(seconds * 1000)]}
        taken = {
            "holder": {"$cond": [free, holder, "$holder"]},
            "until": {"$cond": [free, until, "$until"]},
        }
        try:
            with _our_errors():
                lease = await self._database["leases"].find_one_and_update(
                    {"_id": name}, [{"$set": taken}], upsert=True, return_document=ReturnDocument.AFTER
                )
        except Duplicate:
            return False
        return bool(lease["holder"] == holder)

    async def now(self) -> datetime:
        with _our_errors():
            answer = await self._client.admin.command("hello")
            moment: datetime = answer["localTime"]
            return moment.replace(tzinfo=UTC)

    async def release(self, name: str, holder: str) -> None:
        await self.delete("leases", {"_id": name, "holder": holder})

    async def ensure_indexes(self, collection: str, indexes: Sequence[Index]) -> None:
        with _our_errors():
            try:
                await self._database.create_collection(collection)
            except PyMongoError as error:
                if getattr(error, "code", None) != NAMESPACE_EXISTS and "already exists" not in str(error):
                    raise
            there = await self._specifications(collection)
            missing = [_index_model(index) for index in indexes if index.name not in there]
            if missing:
                await self._database[collection].create_indexes(missing)

    async def indexes(self, collection: str) -> dict[str, Index]:
        with _our_errors():
            return {name: _index_of(each) for name, each in (await self._specifications(collection)).items()}

    async def drop_index(self, collection: str, name: str) -> None:
        with _our_errors():
            await self._database[collection].drop_index(name)

    async def _specifications(self, collection: str) -> dict[str, Any]:
        cursor = await self._dialect.cursor(self._database[collection].list_indexes())
        return {each["name"]: each for each in await cursor.to_list(None) if each["name"] != "_id_"}

    async def drop(self, collection: str) -> None:
        with _our_errors():
            await self._database.drop_collection(collection)

    async def upload(self, id: str, content: bytes, metadata: Document) -> None:
        with _our_errors():
            if await self._database["fs.files"].find_one({"_id": id}, {"_id": 1}):
                return
            try:
                await self._bucket().upload_from_stream_with_id(id, id, content, metadata=metadata)
            except FileExists:
                if not await self._database["fs.files"].find_one({"_id": id}, {"_id": 1}):
                    raise Unavailable(f"the file {id} is half there: somebody else is at it, or gave up") from None

    async def download(self, id: str) -> AsyncIterator[bytes]:
        with _our_errors():
            try:
                stream = await self._bucket().open_download_stream(id)
            except NoFile:
                raise NotFound("file-not-found", id=id) from None
            while piece := await stream.readchunk():
                yield piece

    async def discard(self, id: str) -> None:
        with _our_errors():
            try:
                await self._bucket().delete(id)
            except NoFile:
                return

    async def server_info(self) -> dict[str, Any]:
        with _our_errors():
            info: dict[str, Any] = await self._client.server_info()
            return info

    async def close(self) -> None:
        await self._dialect.close(self._client)

    def _cursor(self, collection: str, filter: Filter, sort: Sort, fields: Sequence[str] | None, **how: int) -> Any:
        wanted = None if fields is None else ["_id", *fields]
        return self._database[collection].find(filter, wanted, sort=list(sort) or None, **how)

    def _bucket(self) -> Any:
        return self._dialect.bucket(self._database)


def _operation(write: Write) -> InsertOne[Document] | ReplaceOne[Document] | DeleteOne:
    if write.change is Change.DELETE:
        return DeleteOne({"_id": write.id, "v": write.expected})
    assert write.document is not None, "every write but a deletion carries a document"  # noqa: S101
    if write.change is Change.INSERT:
        return InsertOne(write.document)
    if write.change is Change.PUT:
        return ReplaceOne({"_id": write.id}, write.document, upsert=True)
    return ReplaceOne({"_id": write.id, "v": write.expected}, write.document)


def _index_model(index: Index) -> IndexModel:
    content: dict[str, Any] = {"name": index.name, "unique": index.unique}
    if index.expire_after_seconds is not None:
        content["expireAfterSeconds"] = index.expire_after_seconds
    if index.partial is not None:
        content["partialFilterExpression"] = index.partial
    return IndexModel(list(index.keys), **content)


def _index_of(found: Mapping[str, Any]) -> Index:
    return Index(
        tuple(found["key"].items()),
        unique=bool(found.get("unique")),
        expire_after_seconds=found.get("expireAfterSeconds"),
        partial=found.get("partialFilterExpression"),
    )


@contextmanager
def _our_errors() -> Iterator[None]:
    """The driver's exceptions as ours: duplicate, conflict, unreachable; anything else is a bug and stays."""
    try:
        yield
    except DuplicateKeyError as error:
        raise Duplicate(str(error)) from error
    except BulkWriteError as error:
        if any(fault["code"] == DUPLICATE_KEY for fault in error.details["writeErrors"]):
            raise Duplicate(str(error.details["writeErrors"][0].get("errmsg", ""))) from error
        raise
    except OperationFailure as error:
        if error.has_error_label("TransientTransactionError"):
            raise Conflict(str(error)) from error
        if error.timeout or error.code in _PASSING or error.has_error_label("RetryableWriteError"):
            raise Unavailable(str(error)) from error
        raise
    except (PyMongoError, asyncio.IncompleteReadError, ConnectionError) as error:
        raise Unavailable(str(error)) from error


_PASSING = frozenset({6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 64, 50, 112, 251, 134})
"""Server codes that pass by themselves: unreachable host, shutdown, stepdown, time limits, write concern not met."""
