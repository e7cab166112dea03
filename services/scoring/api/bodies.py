"""What bodies of scoring's routes share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """Input is taken literally: a misspelt field is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class Trimmed(Body):
    """Texts are taken without the blanks around them."""

    model_config = ConfigDict(str_strip_whitespace=True)
