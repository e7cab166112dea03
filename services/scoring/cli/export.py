"""`python -m services.scoring export --period 2026-11 --out FILE [--unsealed]`: a month as one file, to be verified.

The file is there when it is whole: it is written beside its place and moved. Exit code 1 when there is nothing to
export yet, with the reason.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import IO, cast

import uvloop

from services.scoring.app import SERVICE
from services.scoring.district import District
from services.scoring.views.archive import archive, contents
from shared.errors import DomainError, Unavailable
from shared.messages import Messages
from shared.service import open_store
from shared.settings import DistrictSettings, Misconfigured, StoreSettings


class ExportSettings(StoreSettings, DistrictSettings):
    """What an export needs, and no more."""


def main(arguments: Sequence[str]) -> int:
    """Export as the command line says; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = ExportSettings.read()
        written = uvloop.run(_export(settings, options.period, options.out, unsealed=options.unsealed))
    except DomainError as error:
        messages = Messages.load(*SERVICE.messages)
        return _say(f"{messages.text(error.code, 'zh', error.params)}\n{messages.text(error.code, 'en', error.params)}")
    except (Misconfigured, Unavailable, OSError, ValueError) as error:
        return _say(str(error))
    sys.stdout.write(f"{options.period} 已导出 exported: {options.out} ({written:,} bytes)\n")
    return 0


def _say(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.scoring export", description=__doc__)
    parser.add_argument("--period", required=True, type=_month, help="a month, like 2026-11")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="gzip if the name ends in .gz")
    parser.add_argument("--unsealed", action="store_true", help="also a month that is frozen and not published yet")
    return parser


def _month(text: str) -> str:
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
        raise argparse.ArgumentTypeError("a month is written like 2026-11")
    return text


async def _export(settings: ExportSettings, period: str, out: Path, *, unsealed: bool) -> int:
    store = open_store(SERVICE, settings)
    groups = District.load(settings.district).ranked_among
    try:
        month = await contents(store, period, unsealed=unsealed)
        written = 0
        with _in_its_place(out) as file:
            async with aclosing(archive(store, month, groups)) as pieces:
                async for piece in pieces:
                    written += await asyncio.to_thread(file.write, piece)
        return written
    finally:
        await store.close()


@contextlib.contextmanager
def _in_its_place(out: Path) -> Iterator[IO[bytes]]:
    """A file that takes its place when it is whole; nothing is left of it otherwise."""
    descriptor, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        with os.fdopen(descriptor, "wb") as plain:
            if out.suffix == ".gz":
                # Without a name and a time in it, the same month is the same file, byte for byte.
                with gzip.GzipFile("", "wb", fileobj=plain, mtime=0) as packed:
                    yield cast(IO[bytes], packed)
            else:
                yield plain
            plain.flush()
            os.fsync(plain.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(out)
    finally:
        Path(name).unlink(missing_ok=True)
