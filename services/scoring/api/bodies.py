"""What bodies and parameters of scoring's routes share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import ConfigDict

from shared.http.body import Body
from shared.paging import MOST_CURSOR

After = Annotated[str | None, Query(max_length=MOST_CURSOR)]
"""How far the reader has come: the cursor of the page before."""


class Trimmed(Body):
    """Texts are taken without the blanks around them."""

    model_config = ConfigDict(str_strip_whitespace=True)
