"""For each alert: series by which it goes off, series by which it does not, and how long both are looked at.

Written in promtool's notation (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/):
`0+6x100` starts at 0 and adds 6 a minute, a hundred times.
"""

from __future__ import annotations

from typing import NamedTuple

Series = dict[str, str]


class Case(NamedTuple):
    """One alert's series, a value a minute; `minutes` after which it is off or not."""

    fires: Series
    quiet: Series
    minutes: int = 10


def _requests(service: str, good: str, bad: str) -> Series:
    name = "http_server_request_duration_seconds_count"
    return {
        f'{name}{{service="{service}", status="200"}}': good,
        f'{name}{{service="{service}", status="503"}}': bad,
    }


def _seen(in_time: str, all_: str) -> Series:
    return {
        'event_e2e_seconds_bucket{stage="handled", le="30.0"}': in_time,
        'event_e2e_seconds_count{stage="handled"}': all_,
    }


def _slow(fast: str, all_: str) -> Series:
    name = 'http_server_request_duration_seconds_bucket{service="reports", status="200", le='
    return {f'{name}"0.5"}}': fast, f'{name}"2.5"}}': all_, f'{name}"+Inf"}}': all_}


VERIFIED = 'kube_cronjob_status_last_successful_time{cronjob="chuangwen-verification", namespace="c"}'
CALENDAR = 'work_calendar_certain_until_timestamp_seconds{{job="{}"}}'
HPA = 'horizontalpodautoscaler="keda-hpa-chuangwen-reports-api", namespace="chuangwen"'
LAG = 'consumer_time_lag_seconds{group="scoring.ledger", topic="scoring.charge", partition="3"}'
PROGRESS = 'consumer_last_progress_timestamp_seconds{group="scoring.ledger", instance="a"}'
OWNED = 'consumer_assigned_partitions{group="scoring.ledger", instance="a"}'
GAP = 'events_sequence_gap_total{group="portal.board", topic="reports.case"}'

CASES: dict[str, Case] = {
    "EventsLate": Case({LAG: "31x20"}, {LAG: "29x20"}),
    # promtool's clock starts at 0.
    "ConsumerStuck": Case({PROGRESS: "60x20"}, {PROGRESS: "0+60x20"}),
    "GroupWithoutConsumer": Case({OWNED: "0x20"}, {OWNED: "0x20", OWNED.replace('"a"', '"b"'): "24x20"}),
    "ConsumerBroken": Case(
        {'consumer_broken{group="scoring.ledger"}': "1x20"}, {'consumer_broken{group="scoring.ledger"}': "0x20"}
    ),
    "ClocksDisagree": Case(
        {'clock_ahead_seconds{instance="a"}': "-3x20"}, {'clock_ahead_seconds{instance="a"}': "0.2x20"}
    ),
    "DeadlinesLate": Case(
        {'deadline_oldest_due_seconds{name="cases"}': "301x20"}, {'deadline_oldest_due_seconds{name="cases"}': "20x20"}
    ),
    "EventsSetAside": Case({'dlq_unresolved{job="scoring"}': "1x20"}, {'dlq_unresolved{job="scoring"}': "0x20"}),
    "EventsMissing": Case({GAP: "_x10 1x10"}, {GAP: "7x20"}, 15),
    "BatchesFailing": Case(
        {'consumer_retries_total{group="scoring.ledger"}': "0+12x20"},
        {'consumer_retries_total{group="scoring.ledger"}': "0 0 3x18"},
        12,
    ),
    "EventsFromTheFuture": Case(
        {'event_clock_skew_total{job="reports"}': "0+3x20"}, {'event_clock_skew_total{job="reports"}': "9x20"}, 12
    ),
    "OutboxStuck": Case(
        {'outbox_oldest_age_seconds{job="reports"}': "121x20"}, {'outbox_oldest_age_seconds{job="reports"}': "60x20"}
    ),
    "PublishingFails": Case(
        {'outbox_published_total{job="reports", outcome="failed"}': "0+1x20"},
        {
            'outbox_published_total{job="reports", outcome="failed"}': "3x20",
            'outbox_published_total{job="reports", outcome="ok"}': "0+90x20",
        },
        12,
    ),
    "RequestsFailingFast": Case(
        _requests("reports", "0+600x80", "0+12x80"), _requests("reports", "0+600x80", "0+0.3x80"), 70
    ),
    "RequestsFailing": Case(
        _requests("reports", "0+600x5000", "0+1.2x5000"), _requests("reports", "0+600x5000", "0+0.3x5000"), 4890
    ),
    "EventsLateFast": Case(_seen("0+480x80", "0+600x80"), _seen("0+598x80", "0+600x80"), 70),
    "EventsLateSlowly": Case(_seen("0+588x5000", "0+600x5000"), _seen("0+598x5000", "0+600x5000"), 4890),
    "RequestsSlow": Case(_slow("0+500x20", "0+600x20"), _slow("0+599x20", "0+600x20"), 15),
    "EventLoopBlocked": Case(
        {
            'event_loop_lag_seconds_bucket{job="reports", instance="a", le="0.5"}': "0+100x20",
            'event_loop_lag_seconds_bucket{job="reports", instance="a", le="1.0"}': "0+120x20",
            'event_loop_lag_seconds_bucket{job="reports", instance="a", le="+Inf"}': "0+120x20",
        },
        {
            'event_loop_lag_seconds_bucket{job="reports", instance="a", le="0.01"}': "0+120x20",
            'event_loop_lag_seconds_bucket{job="reports", instance="a", le="0.5"}': "0+120x20",
            'event_loop_lag_seconds_bucket{job="reports", instance="a", le="+Inf"}': "0+120x20",
        },
        15,
    ),
    "ProcessDown": Case({'up{job="chuangwen-reports"}': "0x20"}, {'up{job="chuangwen-reports"}': "1x20"}),
    "NothingIsScraped": Case({"nothing": "1x20"}, {'chuangwen_build_info{version="1"}': "1x20"}),
    "VersionsMixed": Case(
        {'chuangwen_build_info{version="1"}': "1x90", 'chuangwen_build_info{version="2"}': "1x90"},
        {'chuangwen_build_info{version="1"}': "1x90"},
        80,
    ),
    "IndexesToMigrate": Case({'indexes_to_migrate{job="a"}': "2x40"}, {'indexes_to_migrate{job="a"}': "0x40"}, 30),
    "CalendarEnds": Case(
        {CALENDAR.format("reports"): "4000000x90", CALENDAR.format("portal"): "0x90"},
        {CALENDAR.format("reports"): "9000000x90", CALENDAR.format("portal"): "0x90"},
        80,
    ),
    "ScalingBroken": Case(
        {f'kube_horizontalpodautoscaler_status_condition{{condition="ScalingActive", status="false", {HPA}}}': "1x20"},
        {f'kube_horizontalpodautoscaler_status_condition{{condition="ScalingActive", status="false", {HPA}}}': "0x20"},
    ),
    "ScalerFailing": Case(
        {'keda_scaler_detail_errors_total{scaledObject="chuangwen-reports-worker"}': "0+1x20"},
        {'keda_scaler_detail_errors_total{scaledObject="chuangwen-reports-worker"}': "5x20"},
        18,
    ),
    "ReplicasAtMost": Case(
        {
            f"kube_horizontalpodautoscaler_status_current_replicas{{{HPA}}}": "12x30",
            f"kube_horizontalpodautoscaler_spec_max_replicas{{{HPA}}}": "12x30",
        },
        {
            f"kube_horizontalpodautoscaler_status_current_replicas{{{HPA}}}": "11x30",
            f"kube_horizontalpodautoscaler_spec_max_replicas{{{HPA}}}": "12x30",
        },
        25,
    ),
    "LedgerNotVerified": Case(
        {VERIFIED: "0x1700"},
        {VERIFIED: "0x1440 86400x260"},
        1650,
    ),
    "MigrationFailed": Case(
        {'kube_job_status_failed{job_name="chuangwen-reports-migration", namespace="c"}': "1x20"},
        {'kube_job_status_failed{job_name="chuangwen-reports-migration", namespace="c"}': "0x20"},
    ),
}
