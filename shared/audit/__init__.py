"""Append-only logs that prove they were not edited: each row's hash covers the row and the hash before it.

Whoever can rewrite a log can also hash all of it anew, or cut off its end. Only the newest hash, kept or
published elsewhere, shows that: give it to `verify` as `head`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from shared.clock import to_milliseconds

GENESIS = "0" * 64
"""What stands for the previous hash in the first row of a chain."""

# Keeps a hash of ours from being one of the same bytes hashed for another purpose; the number changes with
# the rule.
_PREFIX = "chuangwen/chain/1"
_HASH = re.compile(r"[0-9a-f]{64}")


def chain_hash(previous_hash: str, fields: Mapping[str, object]) -> str:
    """The hash (SHA-256, lower-case hex) of a row that follows the row of `previous_hash`.

    It covers three lines of UTF-8, without a line end after the last: `chuangwen/chain/1`, the previous hash,
    and the fields as JSON with sorted keys, no spaces and no escapes beyond JSON's own. Decimals count by
    value (0.50 is 0.5) and moments by the UTC millisecond, each as a string, so that a row read back from the
    database has the hash it was written with.

    Values are None, bool, int, str, Decimal, aware datetime, and lists and mappings of these. Raises
    TypeError for any other type (a float has no one spelling), ValueError for a naive datetime, a Decimal
    that is not finite, or a previous hash that is none.
    """
    if not _HASH.fullmatch(previous_hash):
        raise ValueError(f"not a hash: {previous_hash!r}")
    return hashlib.sha256(f"{_PREFIX}\n{previous_hash}\n{canonical(fields)}".encode()).hexdigest()


def canonical(fields: Mapping[str, object]) -> str:
    """The one spelling of the fields in which `chain_hash` covers them. Raises what it raises for them."""
    return json.dumps(_canonical(fields), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class AuditRow:
    """Who did what to which subject, when and why; row `number` (from 1) of its chain. `at` is UTC.

    `detail` names further facts; it must hold no personal data, as a row can never be erased.
    """

    id: str
    chain: str
    number: int
    at: datetime
    who: str
    action: str
    subject: str
    reason: str
    previous: str
    hash: str
    detail: dict[str, str] = field(default_factory=dict)


class FlawKind(StrEnum):
    """In which way a row is not the one that was written."""

    MISPLACED = "misplaced"
    """Another row belongs here: one was removed, inserted, moved or comes from another chain."""
    UNLINKED = "unlinked"
    """It does not follow the row before it: one of the two was rewritten."""
    EDITED = "edited"
    """Its content does not fit its hash."""
    TRUNCATED = "truncated"
    """The log does not end with the expected head: rows are missing at its end, or it was hashed anew."""


@dataclass(frozen=True)
class Flaw:
    """The first place where a log differs from what was written.

    `number` is the row that should stand there, `id` the one that does (None past the end).
    """

    number: int
    id: str | None
    kind: FlawKind


def append(
    previous: AuditRow | None,
    *,
    chain: str,
    at: datetime,
    who: str,
    action: str,
    subject: str,
    reason: str = "",
    detail: Mapping[str, str] | None = None,
) -> AuditRow:
    """The row to write after `previous` (None for the first). Raises ValueError for another chain's row.

    Two writers that append to the same row make two rows of one id; the store lets only one of them in.
    """
    if previous is not None and previous.chain != chain:
        raise ValueError(f"{previous.id} is not of the chain {chain}")
    number = previous.number + 1 if previous else 1
    row = AuditRow(
        id=f"{chain}:{number}",
        chain=chain,
        number=number,
        at=to_milliseconds(at),
        who=who,
        action=action,
        subject=subject,
        reason=reason,
        previous=previous.hash if previous else GENESIS,
        hash="",
        detail=dict(detail or {}),
    )
    return replace(row, hash=_hash_of(row))


def verify(rows: Iterable[AuditRow], head: str | None = None, *, after: AuditRow | None = None) -> Flaw | None:
    """The first flaw of a whole chain, given from row 1 in order, or None when it is as it was written.

    `head` is the hash that the last of these rows must have (`GENESIS` for an empty chain); without it, rows
    missing at the end and a chain hashed anew go unnoticed. A long chain is verified in pieces: `after` is the last
    row of the piece before.
    """
    last, before, chain = (after.hash, after.number, after.chain) if after else (GENESIS, 0, None)
    number = before
    for number, row in enumerate(rows, start=before + 1):
        chain = row.chain if chain is None else chain
        if kind := _flaw_of(row, chain, number, last):
            return Flaw(number, row.id, kind)
        last = row.hash
    if head is not None and last != head:
        return Flaw(number + 1, None, FlawKind.TRUNCATED)
    return None


def _flaw_of(row: AuditRow, chain: str, number: int, previous: str) -> FlawKind | None:
    if (row.id, row.chain, row.number) != (f"{chain}:{number}", chain, number):
        return FlawKind.MISPLACED
    if row.previous != previous:
        return FlawKind.UNLINKED
    if row.hash != _hash_of(row):
        return FlawKind.EDITED
    return None


def _hash_of(row: AuditRow) -> str:
    content = {each.name: getattr(row, each.name) for each in fields(row)}
    del content["previous"], content["hash"]
    return chain_hash(row.previous, content)


def _canonical(value: object) -> object:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("keys of hashed fields must be strings")
        return {key: _canonical(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(part) for part in value]
    raise TypeError(f"no canonical form for {type(value).__name__}")


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"no canonical form for {value}")
    # Not Decimal.normalize(), which would round to the precision of the thread's context.
    whole, _, fraction = f"{value:f}".partition(".")
    text = f"{whole}.{fraction.rstrip('0')}".rstrip(".")
    return "0" if text == "-0" else text


def _moment(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError("hashed moments must be aware")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
