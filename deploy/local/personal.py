"""Keys of one machine: made once, kept as long as the data that they open or vouch for.

A district's own keys take their place in production, where the services do not start without any.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from shared import signing, vault


def personal_key(file: Path) -> str:
    """The key for personal data in the file, made on first use; only its owner may read it."""
    return _kept(file, vault.new_key)


def seal_key(file: Path) -> str:
    """The key that seals of published months are signed with, kept likewise."""
    return _kept(file, signing.new_key)


def _kept(file: Path, new: Callable[[], str]) -> str:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        made = file.with_name(f"{file.name}.{os.getpid()}")
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as fresh:
            fresh.write(new())
        made.rename(file)
    return file.read_text()
