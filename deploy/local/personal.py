"""The key for personal data on one machine: made once, kept as long as the data that it opens.

A district's own keys take its place in production, where the service does not start without any.
"""

from __future__ import annotations

import os
from pathlib import Path

from shared.vault import new_key


def personal_key(file: Path) -> str:
    """The key in the file, made on first use; only its owner may read it."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        made = file.with_name(f"{file.name}.{os.getpid()}")
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as fresh:
            fresh.write(new_key())
        made.rename(file)
    return file.read_text()
