"""Nobody decides in their own cause (回避): not in a matter of their own unit, nor in one they acted in themselves."""

from __future__ import annotations

from collections.abc import Collection

from shared.errors import Forbidden


def require_impartial(subject: str, unit: str | None, *, units: Collection[str], people: Collection[str] = ()) -> None:
    """Let somebody decide about a matter of these units, in which these people (subjects of tokens) acted.

    `subject` and `unit` are those of the caller's token. Raises Forbidden (own-cause).
    """
    if unit is not None and unit in units:
        raise Forbidden("own-cause", unit=unit)
    if subject and subject in people:
        raise Forbidden("own-cause", unit=unit or "")
