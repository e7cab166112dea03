"""Real services, watched by a real Prometheus, and what can go wrong with them."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import MongoClient

from deploy.local.servers import Server, answers, free_port, kafka, mongodb
from deploy.local.stack import DISTRICT
from shared.event import Event
from tests.alerts import prometheus
from tests.alerts.hurried import hurried
from tests.processes import Platform

NAMESPACE = "alerts-"
SERVICES = ("reports", "scoring", "portal")
CASE = {"category": "water-pipe", "longitude": 112.6012, "latitude": 26.8901, "text": "水管破裂，路面积水"}


class World:
    """Servers, one process of each service, a Prometheus that scrapes them, and somebody who files cases."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mongodb = mongodb(folder / "mongodb", free_port())
        self.kafka = kafka(folder / "kafka", free_port(), free_port())
        self.platform = Platform(folder / "platform", self.mongodb.address, self.kafka.address, NAMESPACE)
        self.metrics = {service: free_port() for service in SERVICES}
        self.processes: dict[str, Server] = {}
        self._port = free_port()
        self._targets = folder / "targets.json"
        self.prometheus = Server(
            "prometheus",
            self._command,
            address=f"http://127.0.0.1:{self._port}",
            folder=folder / "prometheus",
            is_ready=lambda: answers(f"http://127.0.0.1:{self._port}/-/ready"),
        )
        self._filing = threading.Thread(target=self._file, daemon=True)
        self._ended = threading.Event()

    def start(self) -> None:
        self.mongodb.start(180)
        self.kafka.start(180)
        for service in SERVICES:
            settings = {"METRICS_PORT": str(self.metrics[service])}
            self.processes[service] = self.platform.add(service, "all", settings)
            self.processes[service].launch()
        for process in self.processes.values():
            process.wait_until_ready(120)
        (self.folder / "rules.yaml").write_text(yaml.safe_dump(hurried(), allow_unicode=True))
        self.scrape(self.metrics)
        self.prometheus.start()
        self._filing.start()

    def close(self) -> None:
        self._ended.set()
        self.platform.close()
        for server in (self.prometheus, self.kafka, self.mongodb):
            server.kill()

    def scrape(self, ports: Mapping[str, int]) -> None:
        """What Prometheus reads from now on."""
        targets = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"job": f"chuangwen-{name}"}} for name, port in ports.items()
        ]
        self._targets.write_text(json.dumps(targets))

    def firing(self) -> set[str]:
        """The alerts that are off now."""
        found = httpx2.get(f"{self.prometheus.address}/api/v1/alerts").json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}

    def series(self) -> set[str]:
        """The names of all series that were scraped."""
        return set(httpx2.get(f"{self.prometheus.address}/api/v1/label/__name__/values").json()["data"])

    def _command(self) -> list[str]:
        configuration = self.folder / "prometheus.yaml"
        scrape = {
            "job_name": "chuangwen",
            "file_sd_configs": [{"files": [str(self._targets)], "refresh_interval": "1s"}],
        }
        configuration.write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(self.folder / "rules.yaml")],
                    "scrape_configs": [scrape],
                }
            )
        )
        return [
            *(str(prometheus.program("prometheus")), f"--config.file={configuration}"),
            *(f"--storage.tsdb.path={self.folder / 'series'}", f"--web.listen-address=127.0.0.1:{self._port}"),
        ]

    def _file(self) -> None:
        address = f"{self.platform.url('reports')}/cases"
        with httpx2.Client(timeout=8) as client:
            while not self._ended.wait(0.3):
                try:
                    client.post(address, json=CASE)
                except httpx2.HTTPError:
                    continue

    # ---- what goes wrong ----

    def publish(self, *events: Event[Any] | bytes) -> None:
        """Events, or bytes that are none, on the topic of cases."""

        async def send() -> None:
            producer = AIOKafkaProducer(bootstrap_servers=self.kafka.address)
            await producer.start()
            for event in events:
                if isinstance(event, bytes):
                    await producer.send_and_wait(f"{NAMESPACE}reports.case", event, event)
                else:
                    key = event.key.encode()
                    await producer.send_and_wait(f"{NAMESPACE}reports.case", event.value, key, headers=event.headers())
            await producer.stop()

        asyncio.run(send())

    def an_event(self) -> Event[Any]:
        """One that was published: the first of a case."""

        async def read() -> Event[Any]:
            consumer = AIOKafkaConsumer(
                f"{NAMESPACE}reports.case", bootstrap_servers=self.kafka.address, auto_offset_reset="earliest"
            )
            await consumer.start()
            try:
                async for record in consumer:
                    event = Event.from_kafka("reports.case", record.key, record.value, record.headers)
                    if event.sequence == 1:
                        return event
            finally:
                await consumer.stop()
            raise AssertionError("nothing was published")

        return asyncio.run(read())

    def out_of_order(self) -> None:
        """The fifth event of a case that nobody has heard of."""
        self.publish(replace(self.an_event(), subject="gap", key="gap", sequence=5))

    def from_the_future(self) -> None:
        """Events of a host whose clock is ahead."""
        event = self.an_event()
        ahead = datetime.now(UTC) + timedelta(hours=1)
        for _ in range(12):
            subject = f"future-{time.monotonic_ns()}"
            self.publish(replace(event, subject=subject, key=subject, time=ahead))
            time.sleep(1)

    def poison(self) -> None:
        """So many records that are no events that something else must be wrong."""
        self.publish(*(f"poison {number}".encode() for number in range(25)))

    def detoxify(self) -> None:
        """As an operator who has looked: start again, and give up what was set aside."""
        self.processes["scoring"].restart()
        time.sleep(10)
        self.processes["scoring"].restart()
        self.forget_parked()

    def spoil_a_case(self) -> None:
        """A document that is due and cannot be read."""
        due = datetime.now(UTC) - timedelta(minutes=10)
        with MongoClient[dict[str, Any]](self.mongodb.address) as client:
            client[f"{NAMESPACE}reports"]["cases"].insert_one({"_id": "spoilt", "deadline_at": due, "version": 1})

    def unspoil(self) -> None:
        with MongoClient[dict[str, Any]](self.mongodb.address) as client:
            client[f"{NAMESPACE}reports"]["cases"].delete_one({"_id": "spoilt"})

    def add_index(self) -> None:
        """One that no version declares, as a release before may have left it."""
        with MongoClient[dict[str, Any]](self.mongodb.address) as client:
            client[f"{NAMESPACE}portal"]["sessions"].create_index("stray", name="stray")
        self.processes["portal"].restart()

    def drop_index(self) -> None:
        with MongoClient[dict[str, Any]](self.mongodb.address) as client:
            client[f"{NAMESPACE}portal"]["sessions"].drop_index("stray")
        self.processes["portal"].restart()

    def remove_topic(self, name: str) -> None:
        asyncio.run(self._admin(lambda admin: admin.delete_topics([NAMESPACE + name])))

    def make_topic(self, name: str) -> None:
        asyncio.run(self._admin(lambda admin: admin.create_topics([NewTopic(NAMESPACE + name, 6, 1)])))

    async def _admin(self, act: Any) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.address)
        await admin.start()
        try:
            await act(admin)
        finally:
            await admin.close()

    def enter_calendar(self) -> None:
        """As an office that knows the working days of the next years."""
        district = self.folder / "district"
        shutil.copytree(DISTRICT, district)
        calendar = json.loads((district / "calendar.json").read_text())
        known = {each["year"]: {**each, "provisional": False} for each in calendar["years"]}
        first = min(known)
        last = datetime.now(UTC).year + 5
        calendar["years"] = [
            known.get(
                year,
                {
                    "year": year,
                    "holidays": [f"{year}-01-01"],
                    "make_up_days": [],
                    "provisional": False,
                    "source": "a test",
                },
            )
            for year in range(first, last + 1)
        ]
        (district / "calendar.json").write_text(json.dumps(calendar, ensure_ascii=False))
        self.processes["reports"].stop()
        settings = {"METRICS_PORT": str(self.metrics["reports"]), "DISTRICT": str(district)}
        self.processes["reports"] = self.platform.add("reports", "all", settings)
        self.processes["reports"].start(90)

    def forget_parked(self) -> None:
        """As an operator who drops everything that is set aside."""
        with MongoClient[dict[str, Any]](self.mongodb.address) as client:
            for service in SERVICES:
                client[f"{NAMESPACE}{service}"]["parked"].delete_many({})

    def stutter(self, server: Server, pause: float, times: int) -> None:
        """Let it stand still again and again."""
        for _ in range(times):
            server.pause()
            time.sleep(pause)
            server.resume()
            time.sleep(0.2)
