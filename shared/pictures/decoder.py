"""The process that decodes what strangers hand in: `python -m shared.pictures.decoder`.

It reads one photo after the other from its standard input and writes what it found to its standard output. It has no
settings, no keys and no connections, may open no file, and is killed by the system when it takes too much memory or
too long. Both directions speak frames: four bytes of length (big endian), a header in JSON, then as many bytes as the
header says.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Mapping
from typing import IO, Any

from PIL import Image

from shared.errors import DomainError, Invalid
from shared.pictures.picture import Picture, Region, warm_up

MEMORY = 1_600 * 1024 * 1024
"""Bytes of address space: a photo takes up to about 0.6 GB, the interpreter and the codecs the rest."""
SECONDS = 20
"""Seconds of processor time for one photo; the most expensive that is allowed takes about three."""
_WIDTH = 4


def main() -> None:
    warm_up()
    _confine()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while (header := read_header(source)) is not None:
        _allow(SECONDS)
        content = source.read(int(header["bytes"]))
        reply, blobs = _reply(content, [Region(*edges) for edges in header["blackened"]])
        write_frame(sink, reply, *blobs)


def read_header(source: IO[bytes]) -> dict[str, Any] | None:
    """The header of the next frame; None when there is none. Raises ValueError for what is no frame."""
    length = source.read(_WIDTH)
    if len(length) < _WIDTH:
        return None
    header = json.loads(source.read(int.from_bytes(length, "big")))
    if not isinstance(header, dict):
        raise ValueError("no header")
    return header


def write_frame(sink: IO[bytes], header: Mapping[str, Any], *blobs: bytes) -> None:
    """Raises OSError when nobody reads any more."""
    head = json.dumps(header).encode()
    sink.write(len(head).to_bytes(_WIDTH, "big"))
    sink.write(head)
    for blob in blobs:
        sink.write(blob)
    sink.flush()


def _reply(content: bytes, blackened: list[Region]) -> tuple[dict[str, Any], list[bytes]]:
    try:
        return Picture.read(content, blackened).packed()
    except MemoryError:
        refusal: DomainError = Invalid("photo-broken")
    except DomainError as error:
        refusal = error
    return {"refused": {"status": refusal.status, "code": refusal.code, "params": refusal.params}}, []


def _confine() -> None:
    """No memory beyond a photo's, no file but the pipes that are there, nothing written, no core with a photo in it."""
    Image.MAX_IMAGE_PIXELS = None  # `Picture` has limits of its own for each kind
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _allow(seconds: int) -> None:
    """So much more processor time; beyond it the system ends the process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + seconds, hard))


if __name__ == "__main__":
    main()
