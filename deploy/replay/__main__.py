"""Command line: python -m deploy.replay FILE [--speed N]. See deploy/sample/replay/README.md."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import secrets
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from deploy.local.issuer import Issuer
from deploy.replay.clock import SpedClock
from deploy.replay.plan import Act, Places, Plan, Translation, make_plan, next_start
from deploy.replay.play import Badges, NoAnswer, Office, Player, Refusal
from deploy.replay.source import NotARequestFile, read_requests
from shared.clock import CHINA
from shared.workdays import CalendarEnds, WorkCalendar

ROOT = Path(__file__).parents[2]
LOCAL = ROOT / ".local"
# All services look at the clock's file every 0.2 s: before that, some still live in the time before the jump.
CLOCK_SEEN = 0.3
SHOWN_SKIPPED = 20
START_FIRST = "先启动平台 Start the platform first: python -m deploy.local up"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    console = Console()
    try:
        plan = _plan(options)
        if not options.base_url_file.exists():
            raise NoAnswer(f"{options.base_url_file} is not there")
        urls: dict[str, str] = json.loads(options.base_url_file.read_text())
        _show_plan(console, plan)
        asyncio.run(_run(options, console, plan, urls))
    except (OSError, NotARequestFile, CalendarEnds) as error:
        console.print(f"[red]无法重放 Cannot replay: {error}")
        return 2
    except (NoAnswer, Refusal) as error:
        console.print(f"[red]平台没有应答，重放中止 Stopped: {error}")
        console.print(START_FIRST)
        return 1
    except KeyboardInterrupt:
        console.print("已中止 Stopped")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.replay",
        description="Replays one real day of hotline requests through the platform, in compressed time.",
    )
    parser.add_argument("file", type=Path, help="requests with the columns of the City of Los Angeles")
    parser.add_argument("--speed", type=_positive, default=600.0, help="seconds of the platform per second (600)")
    parser.add_argument("--days", type=_positive, default=3.0, help="how many days are played from the start (3)")
    parser.add_argument("--day", type=date.fromisoformat, help="which day of the file; by default its fullest")
    parser.add_argument("--every", type=_count, default=1, help="play only each n-th request (1)")
    parser.add_argument("--at-once", type=_count, default=32, help="requests under way at a time (32)")
    parser.add_argument("--run", help="name of an earlier run, to repeat it without doing anything twice")
    parser.add_argument("--base-url-file", type=Path, default=LOCAL / "urls.json")
    parser.add_argument("--clock", type=Path, default=LOCAL / "clock.json")
    parser.add_argument("--issuer", type=Path, default=LOCAL / "issuer")
    parser.add_argument("--district", type=Path, default=ROOT / "deploy/sample/hengyang")
    parser.add_argument("--mapping", type=Path, default=ROOT / "deploy/sample/replay/mapping.json")
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be above 0: {text}")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more: {text}")
    return number


def _plan(options: argparse.Namespace) -> Plan:
    translation = Translation.from_file(options.mapping)
    communities = json.loads((options.district / "communities.geojson").read_text(encoding="utf-8"))
    with options.file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        return make_plan(
            read_requests(lines),
            translation,
            Places(translation.neighbourhoods, communities),
            horizon=timedelta(days=options.days),
            day=options.day,
            every=options.every,
        )


def _show_plan(console: Console, plan: Plan) -> None:
    for row in plan.skipped[:SHOWN_SKIPPED]:
        console.print(f"[yellow]跳过第 {row.line} 行 Skipped line {row.line}: {row.reason}")
    if len(plan.skipped) > SHOWN_SKIPPED:
        console.print(f"[yellow]共跳过 {len(plan.skipped)} 行 {len(plan.skipped)} rows skipped in all")
    console.print(f"{plan.day}: {len(plan.cases)} 件 cases, 其他日期 other days {plan.other_days}")


async def _run(options: argparse.Namespace, console: Console, plan: Plan, urls: dict[str, str]) -> None:
    badges = Badges(Issuer(options.issuer))
    clock = SpedClock(options.clock)
    calendar = WorkCalendar.from_file(options.district / "calendar.json")
    start = next_start(clock.now(), plan.day, calendar)
    run = options.run or secrets.token_hex(4)
    limits = httpx2.Limits(max_connections=options.at_once, max_keepalive_connections=options.at_once)
    # Proxies of the environment are for the world outside; the platform is asked directly.
    async with httpx2.AsyncClient(timeout=30, limits=limits, trust_env=False) as client:
        desk = Office(client, options.at_once)
        await _require_platform(client, urls)
        console.print(f"{start:%Y-%m-%d %H:%M} × {options.speed:g}  run {run}  {urls.get('portal', '')}")
        player = Player(plan, start, run, urls["reports"], desk, badges, clock)
        clock.start(start, options.speed)
        try:
            await asyncio.sleep(CLOCK_SEEN)
            await _watched(console, plan, player, clock)
        finally:
            clock.settle()
        _show_tally(console, player)
        for month in sorted({f"{start:%Y-%m}", f"{clock.now().astimezone(CHINA):%Y-%m}"}):
            ranking = await _settled(desk, urls, badges, month)
            console.print(_table(month, ranking, _unit_names(options.district)))
        console.print(f"实时页面 Live page: {urls.get('portal', '')}")


async def _require_platform(client: httpx2.AsyncClient, urls: dict[str, str]) -> None:
    for name in ("reports", "scoring"):
        try:
            response = await client.get(f"{urls[name]}/readyz")
        except httpx2.TransportError as error:
            raise NoAnswer(f"{name} {urls[name]}: {error!r}") from error
        if not response.is_success:
            raise NoAnswer(f"{name} {urls[name]}: {response.status_code}")


async def _watched(console: Console, plan: Plan, player: Player, clock: SpedClock) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        answers = sum(step.act is Act.REPLY for case in plan.cases for step in case.steps)
        closings = sum(step.act is Act.CLOSE for case in plan.cases for step in case.steps)
        reported = progress.add_task("", total=len(plan.cases))
        answered = progress.add_task("整改回复 answered", total=answers)
        closed = progress.add_task("销号 signed off", total=closings)

        def show() -> None:
            shown = f"{clock.now().astimezone(CHINA):%m-%d %H:%M} 上报 reported"
            progress.update(reported, completed=player.tally.reported, description=shown)
            progress.update(answered, completed=player.tally.answered)
            progress.update(closed, completed=player.tally.closed)

        playing = asyncio.create_task(player.play())
        try:
            while not playing.done():
                show()
                await asyncio.wait([playing], timeout=0.2)
            await playing
        finally:
            playing.cancel()
            show()


def _show_tally(console: Console, player: Player) -> None:
    tally = player.tally
    console.print(
        f"上报 reported {tally.reported}, 回复 answered {tally.answered}, 其中超期 of these late {tally.late}, "
        f"销号 signed off {tally.closed}, 待创建办派单 in the office's queue {tally.in_queue}, "
        f"拒绝 refused {len(tally.refused)}, 最大滞后 behind by at most {tally.lag:.1f} s"
    )
    for refusal in tally.refused[:SHOWN_SKIPPED]:
        console.print(f"[yellow]{refusal}")


async def _ranking(desk: Office, urls: dict[str, str], badges: Badges, month: str) -> list[dict[str, Any]]:
    body = await desk.get(f"{urls['scoring']}/standings", badges.office(), period=month)
    ranking: list[dict[str, Any]] = body["standings"]
    return ranking


async def _settled(desk: Office, urls: dict[str, str], badges: Badges, month: str) -> list[dict[str, Any]]:
    """The ranking once it has stopped changing: scoring follows the events a moment later."""
    ranking = await _ranking(desk, urls, badges, month)
    for _ in range(30):
        await asyncio.sleep(1)
        before, ranking = ranking, await _ranking(desk, urls, badges, month)
        if before == ranking:
            break
    return ranking


def _unit_names(district: Path) -> dict[str, str]:
    units = json.loads((district / "units.json").read_text(encoding="utf-8"))["units"]
    return {unit["code"]: unit["name"]["zh"] for unit in units}


def _table(month: str, ranking: list[dict[str, Any]], names: dict[str, str]) -> Table:
    table = Table(title=f"{month} 排名 Ranking")
    for heading in ("名次 rank", "单位 unit", "得分 score", "扣分 lost", "笔数 entries"):
        table.add_column(heading)
    for row in sorted(ranking, key=lambda row: int(row["rank"])):
        cells = (row["rank"], names.get(row["unit"], row["unit"]), row["score"], row["points_lost"], row["entries"])
        table.add_row(*map(str, cells))
    return table


if __name__ == "__main__":
    sys.exit(main())
