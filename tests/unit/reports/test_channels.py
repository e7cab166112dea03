"""Who may file by which channel, and as what."""

from __future__ import annotations

from itertools import product

import pytest

from services.reports.domain.channels import ENTRANCES, reporter_of
from shared.contracts.reports import Channel, ReporterKind
from shared.errors import Forbidden

ROLES = ("", "citizen", "volunteer", "officer", "liaison", "verifier", "service", "dispatcher", "office", "leader")
DESK = {"service", "dispatcher", "office"}
MAY = {
    Channel.CITIZEN: set(ROLES),
    Channel.STAFF: DESK,
    Channel.HOTLINE: DESK,
    Channel.PATROL: {*DESK, "verifier"},
    Channel.MEDIA: DESK,
    Channel.INSPECTION: set[str](),
    Channel.OTHER: set[str](),
}


@pytest.mark.parametrize(("channel", "role"), list(product(Channel, ROLES)))
def test_a_channel_is_for_those_whose_it_is(channel: Channel, role: str) -> None:
    roles = {role} - {""}
    if role in MAY[channel]:
        assert reporter_of(channel, None, roles) is ENTRANCES[channel].reporters[0]
    else:
        with pytest.raises(Forbidden) as refusal:
            reporter_of(channel, None, roles)
        assert (refusal.value.code, refusal.value.field) == ("channel-reserved", "channel")


@pytest.mark.parametrize(
    ("channel", "usual"),
    [
        (Channel.CITIZEN, ReporterKind.CITIZEN),
        (Channel.STAFF, ReporterKind.CITIZEN),  # a caller, for whom staff writes it down
        (Channel.HOTLINE, ReporterKind.CITIZEN),
        (Channel.PATROL, ReporterKind.STAFF),
        (Channel.MEDIA, ReporterKind.JOURNALIST),
    ],
)
def test_what_is_not_told_is_as_usual_there(channel: Channel, usual: ReporterKind) -> None:
    assert reporter_of(channel, None, {"office"}) is usual


@pytest.mark.parametrize("claimed", [ReporterKind.INSPECTOR, ReporterKind.STAFF, ReporterKind.JOURNALIST])
def test_a_citizen_cannot_claim_to_be_somebody_else(claimed: ReporterKind) -> None:
    for roles in (set[str](), {"citizen"}, {"volunteer"}, {"office"}):
        with pytest.raises(Forbidden) as refusal:
            reporter_of(Channel.CITIZEN, claimed, roles)
        assert (refusal.value.code, refusal.value.field) == ("reporter-kind-reserved", "reporter_kind")


@pytest.mark.parametrize("channel", Channel)
def test_nobody_can_claim_to_be_an_inspector(channel: Channel) -> None:
    for role in ROLES:
        with pytest.raises(Forbidden):
            reporter_of(channel, ReporterKind.INSPECTOR, {role})


def test_a_volunteer_is_one_by_role_or_because_staff_says_so() -> None:
    assert reporter_of(Channel.CITIZEN, ReporterKind.VOLUNTEER, {"volunteer"}) is ReporterKind.VOLUNTEER
    assert reporter_of(Channel.HOTLINE, ReporterKind.VOLUNTEER, {"service"}) is ReporterKind.VOLUNTEER
    with pytest.raises(Forbidden):
        reporter_of(Channel.CITIZEN, ReporterKind.VOLUNTEER, {"citizen"})
