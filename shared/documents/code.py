"""The QR code of a paper."""

from __future__ import annotations

from io import BytesIO

import segno

PIXELS_PER_MODULE = 10
"""Enough that a viewer that smooths enlarged pictures does not blur the edges."""
QUIET = 4
"""Modules of white around the code (ISO/IEC 18004)."""


def qr_png(url: str) -> bytes:
    """A QR code as a black and white PNG, readable with about 15 % of it soiled (level M)."""
    written = BytesIO()
    segno.make_qr(url, error="m", boost_error=False).save(written, "png", scale=PIXELS_PER_MODULE, border=QUIET)
    return written.getvalue()
