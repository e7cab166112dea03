"""Records that could not be handled: look at them, run their handler again, or give them up.

    python -m shared.dlq list   --service scoring                               what is held up, a line per aggregate
    python -m shared.dlq show   --service scoring --key huanwei                 the records themselves
    python -m shared.dlq replay --service scoring --key huanwei --yes           run the handler again, in order
    python -m shared.dlq drop   --service scoring --key huanwei --max 1 --yes   give the first one up

Without --yes, replay and drop only tell what they would touch. They may run beside the service: what its workers
set aside meanwhile is taken along, and what the handlers publish goes out through the service's own outbox.

Exit codes: 0 done; 1 something failed or is still set aside; 2 the command line or the environment is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import re
import sys
import unicodedata
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from shared.clock import CHINA
from shared.consumer import MARKS, PARKED, Inbox, Parked, Parking, Subscription
from shared.deadlines import DEFERRED, Deferred
from shared.errors import NotFound, Unavailable
from shared.event import Undecodable
from shared.readmodel import LIVE, Generation, Live
from shared.service import Service, connect, open_store
from shared.settings import Misconfigured, Settings, StoreSettings
from shared.store import Store
from shared.store.collection import Filter

Tell = Callable[[Parked, Exception | None], None]

TEXT_SHOWN = 60
R = TypeVar("R")


@dataclass(frozen=True)
class Choice:
    """Which records: of a consumer group, of an aggregate (`key`), at most so many."""

    group: str | None = None
    key: str | None = None
    most: int | None = None

    def filter(self) -> Filter:
        wanted = {"group": self.group, "subject": self.key}
        return {field: value for field, value in wanted.items() if value is not None}


class Heading(NamedTuple):
    """A record that is set aside, without its content."""

    group: str
    mark: str
    subject: str
    sequence: int
    reason: str
    error: str
    text: str
    at: datetime

    @property
    def key(self) -> Filter:
        """The aggregate, as one group sees it. An unreadable record is one of its own."""
        return {"group": self.group, "mark": self.mark, "subject": self.subject}


class Gone(Exception):
    """The group that set the record aside does not exist any more."""


class DeadLetters(Generic[R]):
    """The records that the groups of one service have set aside."""

    def __init__(self, store: Store, subscriptions: Iterable[Subscription[R]]) -> None:
        self._store = store
        self._subscriptions = {subscription.group: subscription for subscription in subscriptions}

    async def headings(self, choice: Choice) -> list[Heading]:
        """Chosen records: aggregates by how long they have been held up, the records of each by sequence."""
        documents = await self._store.driver.find(PARKED.name, choice.filter(), fields=Heading._fields)
        found = [Heading(**{name: document[name] for name in Heading._fields}) for document in documents]
        since: dict[str, datetime] = {}
        for heading in found:
            since[_name(heading)] = min(heading.at, since.get(_name(heading), heading.at))
        found.sort(key=lambda heading: (since[_name(heading)], not heading.mark, _name(heading), heading.sequence))
        return found[: choice.most]

    async def records(self, choice: Choice) -> AsyncIterator[Parked]:
        """Chosen records in the same order, those that are set aside meanwhile included."""
        left = choice.most
        for key in _distinct(await self.headings(choice)):
            async for row in self._of(key):
                if left == 0:
                    return
                yield row
                left = None if left is None else left - 1

    async def replay(self, choice: Choice, resources: R, on_error: Literal["stop", "repark"], tell: Tell) -> bool:
        """Run the handlers again, in sequence per aggregate; True when all went well.

        A record that fails again stays, and so do those of its aggregate that follow; with `repark` the other
        aggregates go on. What merely waits for a predecessor that has not come is left alone unless its key is named:
        handling it gives the missing event up. Raises Unavailable.
        """
        fine, left = True, choice.most
        for key in _distinct(await self.headings(choice)):
            async for row in self._of(key):
                if left == 0:
                    return fine
                if choice.key is None and await self._waits(row):
                    break
                left = None if left is None else left - 1
                error = await self._again(row, resources)
                tell(row, error)
                if error is not None:
                    fine = False
                    if on_error == "stop" and row.mark:
                        return False
                    break
        return fine

    async def drop(self, choice: Choice, tell: Tell) -> None:
        """Give records up: their numbers count as handled. Raises Unavailable."""
        async for row in self.records(choice):
            if await _unless_gone(Parking(self._store, row.group).drop(row)):
                tell(row, None)

    async def _waits(self, row: Parked) -> bool:
        """Whether the record would be handled by itself if its predecessor came."""
        mark = await self._store.get(MARKS, row.mark) if row.reason == "early" else None
        return mark is not None and row.sequence > mark.sequence + 1

    async def _again(self, row: Parked, resources: R) -> Exception | None:
        if row.group not in self._subscriptions:
            return Gone(f"no group {row.group} any more")
        try:
            await _unless_gone(Inbox(self._store, self._subscriptions[row.group], resources).replay(row))
        except Unavailable:
            raise
        except Exception as error:  # whatever the handler raises is what the operator wants to know
            return error
        return None

    async def _of(self, key: Filter) -> AsyncIterator[Parked]:
        done = 0
        while rows := await self._store.find(PARKED, {**key, "sequence": {"$gt": done}}, [("sequence", 1)], 1):
            yield rows[0]
            done = rows[0].sequence


async def subscriptions(service: Service[R], store: Store) -> list[Subscription[R]]:
    """All subscriptions of a service, read models in the generation that is live."""
    found = list(service.subscriptions)
    for model in service.read_models:
        live = await store.get(LIVE, model.name) or Live(model.name)
        found.append(model.subscribe(Generation(live.number)))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        work = _work(_service(options.service), options)
    except (LookupError, Misconfigured) as error:
        _say(str(error), sys.stderr)
        return 2
    try:
        return asyncio.run(work)
    except Unavailable as error:
        _say(f"数据库无响应 · the database does not answer: {error}", sys.stderr)
        return 1


def _work(service: Service[R], options: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """What was asked for. Raises Misconfigured for what that needs, and nothing more."""
    if options.command == "replay" and options.yes:
        return _replay(service, service.settings.read(), options)
    return _look_or_drop(service, StoreSettings.read(), options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shared.dlq", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("list", "show", "replay", "drop"):
        command = commands.add_parser(name)
        command.add_argument("--service", required=True)
        command.add_argument("--group", help="one consumer group only")
        command.add_argument("--key", required=name == "drop", help="one aggregate only")
        command.add_argument("--max", type=_positive, dest="most", help="so many records at most")
        if name in {"replay", "drop"}:
            command.add_argument("--yes", action="store_true", help="do it; without this, only tell")
        if name == "replay":
            command.add_argument("--on-error", choices=("stop", "repark"), default="stop")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _service(name: str) -> Service[Any]:
    """Raises LookupError. Loaded by name: `shared` knows no service."""
    try:
        if re.fullmatch(r"[a-z_]+", name):
            service = importlib.import_module(f"services.{name}.app").SERVICE
            if isinstance(service, Service):
                return service
    except ModuleNotFoundError as error:
        if error.name not in {f"services.{name}", f"services.{name}.app"}:
            raise
    raise LookupError(f"没有这个服务 · no service {name}")


async def _replay(service: Service[R], settings: Settings, options: argparse.Namespace) -> int:
    """The handlers find what they find in the service, so this needs all that the service is told."""
    runtime = connect(service, settings)
    try:
        letters = DeadLetters(runtime.store, await subscriptions(service, runtime.store))
        resources = await runtime.prepare()
        return 0 if await letters.replay(_choice(options), resources, options.on_error, _tell) else 1
    finally:
        await runtime.store.close()


async def _look_or_drop(service: Service[R], settings: StoreSettings, options: argparse.Namespace) -> int:
    store, choice = open_store(service, settings), _choice(options)
    try:
        letters = DeadLetters(store, await subscriptions(service, store))
        if options.command == "list":
            _say(_table(await letters.headings(choice)))
            for late in await store.find(DEFERRED, {}, [("since", 1)]):
                _say(_late(late))
        elif options.command == "show":
            async for row in letters.records(choice):
                _say(_shown(row))
        elif options.command == "drop" and options.yes:
            await letters.drop(choice, _tell)
        else:
            _say(_table(await letters.headings(choice)))
            _say("未作改动，加 --yes 执行 · nothing was changed; add --yes to do it")
    finally:
        await store.close()
    return 0


def _choice(options: argparse.Namespace) -> Choice:
    return Choice(options.group, options.key, options.most)


async def _unless_gone(resolving: Any) -> bool:
    """False when somebody else resolved the record first."""
    try:
        await resolving
    except NotFound as error:
        if error.code != f"{PARKED.name}-not-found":
            raise
        return False
    return True


def _name(heading: Heading) -> str:
    return heading.mark or f"{heading.group}|{heading.subject}"


def _distinct(headings: Iterable[Heading]) -> list[Filter]:
    return list({_name(heading): heading.key for heading in headings}.values())


# ---- what the operator sees ----


def _tell(row: Parked, error: Exception | None) -> None:
    outcome = f"失败 failed: {_line(repr(error))}" if error else "完成 done"
    _say(f"{row.group}  {row.subject}  #{row.sequence}  {outcome}")


def _table(headings: Sequence[Heading]) -> str:
    if not headings:
        return "没有搁置的记录 · nothing is set aside"
    lines = [("组 group", "键 key", "序号 sequence", "条 records", "自 since", "原因 reason")]
    for key in _distinct(headings):
        rows = [heading for heading in headings if heading.key == key]
        first, last = rows[0], rows[-1]
        span = str(first.sequence) if first is last else f"{first.sequence}–{last.sequence}"
        since = min(row.at for row in rows).astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")
        reason = f"{first.reason} {first.error} {_line(first.text)}".rstrip()
        lines.append((first.group, first.subject, span, str(len(rows)), since, reason))
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _late(row: Deferred) -> str:
    """A due document whose command fails; it is tried again by itself."""
    since = row.since.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")
    why = f"×{row.failures}  {row.error} {_line(row.text)}".rstrip()
    return f"到期未办 due  {row.collection}  {row.document}  {since}  {why}"


def _shown(row: Parked) -> str:
    facts = {
        "组 group": row.group,
        "键 key": row.subject,
        "序号 sequence": row.sequence,
        "来自 from": f"{row.topic}[{row.partition}]@{row.offset}",
        "时间 at": row.at.astimezone(CHINA).isoformat(),
        "原因 reason": row.reason,
        "错误 error": f"{row.error} {row.text}".strip(),
        "类型 type": _type(row),
        "内容 data": row.value.decode(errors="backslashreplace"),
    }
    return "\n".join(f"{name}: {value}" for name, value in facts.items()) + "\n"


def _type(row: Parked) -> str:
    try:
        return row.record().event().type
    except Undecodable as error:
        return f"不可读 unreadable ({error})"


def _line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= TEXT_SHOWN else flat[: TEXT_SHOWN - 1] + "…"


def _width(text: str) -> int:
    """Columns of a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _say(text: str, stream: Any = None) -> None:
    (stream or sys.stdout).write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
