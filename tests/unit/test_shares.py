"""Seats are for everybody: one subscriber never has them all, and every seat comes back."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest

from shared.errors import TooMany, Unavailable
from shared.http.shares import Shares


def test_one_subscriber_has_a_share_and_the_others_have_the_rest() -> None:
    shares = Shares(seats=4, each=2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(shares.take("203.0.113.7"))
        with pytest.raises(TooMany) as refused:
            stack.enter_context(shares.take("203.0.113.7"))
        assert refused.value.code == "rate-limited"
        for address in ("203.0.113.8", "203.0.113.9"):
            stack.enter_context(shares.take(address))
        with pytest.raises(Unavailable):
            stack.enter_context(shares.take("203.0.113.10"))


def test_a_seat_comes_back_whatever_happened() -> None:
    shares = Shares(seats=1, each=1)
    for _ in range(3):
        with suppress(ValueError), shares.take("203.0.113.7"):
            raise ValueError
    with pytest.raises(TooMany), shares.take("203.0.113.7"), shares.take("203.0.113.7"):
        pass
    with shares.take("203.0.113.8"):
        pass
