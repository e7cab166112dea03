"""Who may call: all that the portal answers by itself is public.

Whatever is not (what a reporter sees, what the office tries), the portal asks the owning service for, which decides.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from shared.auth import Principal, anyone

Anyone = Annotated[Principal, Depends(anyone())]
