"""The instruments of the benchmark measure what they say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.load import figures, flow
from tests.load.client import Connection, Unreadable, parse, request_bytes
from tests.load.consuming import Meter
from tests.load.flow import Backlog, Held
from tests.load.generator import Plan, Run, generate
from tests.load.places import OVERDUE, bench_district

ANSWER = b'HTTP/1.1 201 Created\r\nContent-Length: 12\r\nx: y\r\n\r\n{"case":"c"}'


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert figures.percentile(values, 0.5) == 50
    assert figures.percentile(values, 0.99) == 99
    assert figures.percentile(values, 1.0) == 100
    assert figures.percentile([7.0], 0.01) == 7


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        figures.percentile([], 0.5)


def test_the_slope_is_the_growth_per_second() -> None:
    assert figures.slope([(0, 5), (1, 8), (2, 11)]) == pytest.approx(3)
    assert figures.slope([(0, 5), (1, 9), (2, 5), (3, 9), (4, 5)]) == pytest.approx(0)
    assert figures.slope([(1, 5)]) == figures.slope([(1, 5), (1, 9)]) == 0


def held(totals: list[int], **changed: object) -> Held:
    samples = [Backlog(float(second), total, 0, 0) for second, total in enumerate(totals)]
    outcome = {"rate": 100.0, "run": Run(), "samples": samples, "drained": 1.0, **changed}
    return Held(**outcome)  # type: ignore[arg-type]  # a row of a table, spelled out above


def test_a_rate_is_held_when_the_backlog_swings_but_does_not_grow() -> None:
    assert held([90, 10] * 10).ok


@pytest.mark.parametrize(
    "outcome",
    [
        held([40 * second for second in range(20)]),
        held([0] * 20, drained=None),
        held([0] * 20, run=Run(failed=1)),
        held([0] * 20, run=Run(late=2.0)),
    ],
    ids=["grows", "never through", "refused", "not sent in time"],
)
def test_a_rate_is_not_held(outcome: Held) -> None:
    assert not outcome.ok


def test_the_start_is_not_taken_for_growth() -> None:
    assert held([0, 100, 200, 300] + [300] * 16).growth == pytest.approx(0)


def test_ratios_are_judged_against_the_baseline() -> None:
    assert figures.at_least_times("x", 400, "/s", 100, 4).met
    short = figures.at_least_times("x", 399, "/s", 100, 4)
    assert not short.met
    assert short.ratio == pytest.approx(3.99)
    assert figures.at_most("x", 150, "MB", 150).met
    assert not figures.at_least("x", 299, "/s", 300).met


def test_figures_are_kept_as_json(tmp_path: Path) -> None:
    kept = [figures.at_most("x", 1.5, "ms", 1), figures.note("y", 2, "ms")]
    figures.save(kept, tmp_path / "new" / "bench.json")
    assert json.loads((tmp_path / "new" / "bench.json").read_text()) == [asdict(each) for each in kept]


def test_the_table_replaces_what_is_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{figures.BEGIN}\nold\n{figures.END}\nafter\n")
    figures.insert([figures.at_most("x", 1.5, "ms", 1)], "a machine", page)
    figures.insert([figures.at_most("x", 2.5, "ms", 1)], "a machine", page)
    text = page.read_text()
    assert text.startswith(f"before\n{figures.BEGIN}\n\na machine\n")
    assert "| x | 2.5 | ms |  |  | ≤ 1 ms | SHORT |" in text
    assert "old" not in text
    assert "1.5" not in text
    assert text.endswith(f"{figures.END}\nafter\n")


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no place for figures")
    with pytest.raises(ValueError, match="markers"):
        figures.insert([], "", page)
    assert page.read_text() == "no place for figures"


def test_an_answer_is_read_whatever_the_pieces() -> None:
    assert all(parse(ANSWER[:size]) is None for size in range(len(ANSWER)))
    answer, size = parse(ANSWER + b"HTTP/1.1") or pytest.fail("unread")
    assert answer == (201, b'{"case":"c"}')
    assert size == len(ANSWER)


def test_an_answer_without_a_length_is_refused() -> None:
    with pytest.raises(Unreadable):
        parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


def test_a_request_says_where_it_goes_and_how_long_it_is() -> None:
    sent = request_bytes("POST", "http://127.0.0.1:80/cases?x=1", {"A": "b"}, "案".encode())
    assert sent.startswith(b"POST /cases?x=1 HTTP/1.1\r\nHost: 127.0.0.1:80\r\nA: b\r\nContent-Length: 3\r\n\r\n")


class Service:
    """A service that answers 201, or hangs up, as its `answers` say; the last one holds for the rest."""

    def __init__(self) -> None:
        self.answers: list[bytes] = [ANSWER]
        self.asked = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
                answer = self.answers[min(self.asked, len(self.answers) - 1)]
                self.asked += 1
                writer.write(answer)
                if not answer:
                    return
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield service
    server.close()
    await server.wait_closed()


async def test_a_connection_serves_one_request_after_the_other(service: Service) -> None:
    connection = await Connection.open(service.url)
    request = request_bytes("POST", service.url, {}, b"{}")
    assert [(await connection.request(request)).status for _ in range(3)] == [201] * 3
    connection.close()


async def test_a_service_that_hangs_up_is_noticed(service: Service) -> None:
    service.answers = [b""]
    connection = await Connection.open(service.url)
    request = request_bytes("POST", service.url, {}, b"{}")
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await connection.request(request)


async def test_an_open_loop_sends_what_it_was_meant_to(service: Service) -> None:
    run = await generate(Plan(service.url, "token", OVERDUE, 0.2, rate=100, connections=4))
    assert service.asked == len(run.cases) == len(run.answered) == 20
    assert run.failed == 0
    steps = [after - before for before, after in zip(sorted(run.intended), sorted(run.intended)[1:], strict=False)]
    assert steps == pytest.approx([0.01] * 19)


async def test_a_closed_loop_counts_what_is_refused(service: Service) -> None:
    service.answers = [b"HTTP/1.1 503 x\r\nContent-Length: 4\r\n\r\nbusy", ANSWER]
    run = await generate(Plan(service.url, "token", OVERDUE, 0.1, clients=2))
    assert run.failed == 1
    assert run.fault == "busy"
    assert len(run.cases) == service.asked - 1 > 0


@pytest.mark.parametrize(
    "expected",
    [
        {"url": "http://192.0.2.1:80", "seconds": 1, "rate": 1},
        {"url": "http://127.0.0.1:80", "seconds": 1e6, "rate": 1},
        {"url": "http://127.0.0.1:80", "seconds": 1},
        {"url": "http://127.0.0.1:80", "seconds": 1, "rate": 1, "clients": 1},
    ],
    ids=["elsewhere", "for ever", "nothing", "both loops"],
)
def test_load_is_bounded_and_stays_on_this_machine(expected: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1 only|seconds"):
        Plan(token="", category=OVERDUE, **expected)  # type: ignore[arg-type]  # rows of a table, wrong by intent


def test_the_meter_leaves_the_first_transaction_out(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 11.0, 12.0])
    monkeypatch.setattr("tests.load.consuming.time.monotonic", lambda: next(moments))
    meter = Meter(600)
    for events in (100, 200, 300):
        assert not meter.done.is_set()
        meter.count(events)
    assert meter.done.is_set()
    assert meter.rate == pytest.approx(250)


def test_the_district_of_the_benchmark_charges_at_once(tmp_path: Path) -> None:
    from services.reports.district import District
    from services.reports.domain import Areas

    district = District.load(bench_district(tmp_path))
    category = district.categories[OVERDUE]
    assert category.limit == "0 work-hours"
    for code, community in district.communities.items():
        routing = district.router.route(category, Areas(code, code[:9]), datetime(2026, 11, 23, 1, 0, tzinfo=UTC))
        assert routing.unit == community.unit


async def test_the_highest_rate_is_the_best_that_holds_for_the_full_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[float, float]] = []

    async def trying(_: object, rate: float, seconds: float) -> Held:
        tried.append((rate, seconds))
        limit = 300 if seconds < 60 else 250
        return held([0] * 5, rate=rate, drained=1.0 if rate <= limit else None)

    monkeypatch.setattr(flow, "_tried", trying)
    best = await flow.highest_rate(object(), (100, 200, 300, 400, 500), 15, 60)  # type: ignore[arg-type]  # unused
    assert best is not None
    assert best.rate == 200
    assert tried == [(100, 15), (200, 15), (300, 15), (400, 15), (300, 60), (200, 60)]
