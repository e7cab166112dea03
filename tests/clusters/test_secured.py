"""The platform on servers as a careful operator runs them: TLS, a user for each service, no right too many."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from pymongo.errors import OperationFailure

from deploy import catalogue
from shared.certificates import ClientContext
from shared.contracts import Topic
from shared.errors import Unavailable
from shared.kafka import Connection, KafkaBroker
from shared.settings import Misconfigured, Settings, StoreSettings
from shared.store.mongo import MongoDriver
from tests.clusters.authority import Authority
from tests.clusters.secured import ADMIN, PASSWORD, SecuredKafka, SecuredMongo, user
from tests.processes import Platform
from tests.waiting import eventually

NAMESPACE = "secured-"


class Secured:
    """Both servers, their authority, and how a service is told of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "authority")
        for name in ("mongodb", "kafka"):
            (folder / name).mkdir()
        self.mongodb = SecuredMongo(folder / "mongodb", self.authority, NAMESPACE)
        self.kafka = SecuredKafka(folder / "kafka", self.authority, NAMESPACE)

    def secrets(self, service: str) -> Path:
        """A folder as Kubernetes mounts it: a file for each secret setting."""
        folder = self.folder / f"secrets-{service}"
        folder.mkdir(exist_ok=True)
        for name in ("mongodb_password", "kafka_password"):
            (folder / name).write_text(PASSWORD + "\n")
        return folder

    def settings(self, service: str) -> dict[str, str]:
        return {
            "SECRETS_DIR": str(self.secrets(service)),
            "MONGODB_URI": self.mongodb.address,
            "MONGODB_USERNAME": service,
            "MONGODB_CA_FILE": str(self.authority.file),
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.address,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_USERNAME": user(service),
            "KAFKA_CA_FILE": str(self.authority.file),
            "KAFKA_CREATE_TOPICS": "false",
        }

    def connection(self, name: str) -> Connection:
        return Connection(
            self.kafka.address,
            NAMESPACE,
            session_timeout=6.0,
            sasl_mechanism="SCRAM-SHA-512",
            username=name,
            password=PASSWORD,
            tls=ClientContext(self.authority.file),
        )


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    folder = Path(tempfile.mkdtemp(prefix="chuangwen-secured-"))
    servers = Secured(folder)
    running = [servers.mongodb.start(), servers.kafka.start()]
    try:
        yield servers
    finally:
        for server in running:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
async def topics(secured: Secured) -> None:
    """All topics of the catalogue, made by the cluster's administrator."""
    made = [Topic(name, "", "", partitions=2) for name, _ in catalogue.topics()]
    await KafkaBroker(secured.connection(ADMIN)).ensure_topics(made)


@pytest.fixture
async def producer(secured: Secured, topics: None) -> AsyncIterator[AIOKafkaProducer]:
    """What the reports service may write with."""
    producer = AIOKafkaProducer(**secured.connection(user("reports")).options())
    await producer.start()
    yield producer
    await producer.stop()


# ---- the whole platform with no right too many ----


async def test_a_case_goes_all_its_way(secured: Secured, topics: None, tmp_path: Path) -> None:
    services = ("reports", "scoring", "portal")
    platform = Platform(tmp_path, secured.mongodb.address, secured.kafka.address, NAMESPACE)
    try:
        for service in services:
            platform.add(service, "all", secured.settings(service)).launch()
        for process in platform.processes:
            process.wait_until_ready()
        body = {"category": "water-pipe", "longitude": 112.6012, "latitude": 26.8901, "text": "水管破裂，路面积水"}
        async with httpx2.AsyncClient() as client:
            filed = await client.post(f"{platform.url('reports')}/cases", json=body)
            assert filed.status_code == 201, filed.text
            case = f"{platform.url('portal')}/api/cases/{filed.json()['case']}"

            async def shown() -> bool:
                return (await client.get(case)).status_code == 200

            await eventually(shown)
        for process in platform.processes:
            process.stop()
    finally:
        platform.close()


async def test_a_service_writes_no_topic_of_another(producer: AIOKafkaProducer) -> None:
    await producer.send_and_wait(f"{NAMESPACE}reports.case", b"{}", b"case")
    with pytest.raises(TopicAuthorizationFailedError):
        await producer.send_and_wait(f"{NAMESPACE}scoring.entry", b"{}", b"unit")


async def test_a_service_reads_by_its_own_groups_only(secured: Secured, topics: None) -> None:
    options = secured.connection(user("portal")).options()
    stranger = AIOKafkaConsumer(f"{NAMESPACE}reports.case", group_id=f"{NAMESPACE}scoring.charges", **options)
    with pytest.raises(GroupAuthorizationFailedError):
        await stranger.start()
    await stranger.stop()


async def test_a_service_deletes_and_makes_no_topics(secured: Secured, topics: None) -> None:
    admin = AIOKafkaAdminClient(**secured.connection(user("reports")).options())
    await admin.start()
    answer = await admin.delete_topics([f"{NAMESPACE}reports.case"])
    assert all(code for _, code in answer.topic_error_codes)
    await admin.close()
    with pytest.raises(Unavailable):
        await KafkaBroker(secured.connection(user("reports"))).ensure_topics([Topic("reports.new", "", "")])
    with pytest.raises(Unavailable, match=r"missing in Kafka: reports\.new"):
        await KafkaBroker(secured.connection(user("reports")), creates=False).ensure_topics(
            [Topic("reports.case", "", ""), Topic("reports.new", "", "")]
        )


def test_a_service_reads_no_database_of_another(secured: Secured) -> None:
    with secured.mongodb.client(username="portal", password=PASSWORD) as client:
        client[f"{NAMESPACE}portal"]["sessions"].find_one()
        with pytest.raises(OperationFailure, match="not authorized"):
            client[f"{NAMESPACE}reports"]["cases"].find_one()


# ---- certificates ----


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_a_renewed_authority_is_trusted_without_a_restart(
    secured: Secured, tmp_path: Path, driver: Literal["motor", "pymongo"]
) -> None:
    ca = tmp_path / "ca.crt"
    shutil.copy(Authority(tmp_path / "other").file, ca)
    settings = StoreSettings(
        mongodb_uri=secured.mongodb.address,
        mongodb_username="portal",
        mongodb_password=PASSWORD,
        mongodb_ca_file=ca,
        namespace=NAMESPACE,
        store_driver=driver,
    )
    database = MongoDriver.of(settings, "portal")
    with pytest.raises(Unavailable):
        await database.count("renewals", {})
    renewed = tmp_path / "renewed"
    shutil.copy(secured.authority.file, renewed)
    os.replace(renewed, ca)  # as Kubernetes does: the name leads to another file
    assert await database.count("renewals", {}) == 0
    await database.close()


async def test_brokers_whose_authority_is_renewed_are_spoken_to_without_a_restart(
    secured: Secured, topics: None, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.crt"
    shutil.copy(Authority(tmp_path / "other").file, ca)
    connection = secured.connection(user("reports"))._replace(tls=ClientContext(ca))
    broker = KafkaBroker(connection, creates=False)
    with pytest.raises(Unavailable):
        await broker.ensure_topics([])
    shutil.copy(secured.authority.file, ca)
    await broker.ensure_topics([])


# ---- what settings refuse ----


def test_certificates_that_are_none_are_named_at_the_start(secured: Secured, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("no certificate")
    settings = StoreSettings(mongodb_uri=secured.mongodb.address, mongodb_ca_file=tmp_path / "ca.crt")
    with pytest.raises(Misconfigured, match="MONGODB_CA_FILE"):
        MongoDriver.of(settings, "portal")


def test_a_protocol_that_signs_in_needs_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        mongodb_uri="mongodb://h/",
        kafka_bootstrap_servers="h:1",
        http_port=1,
        auth_jwks="x",
        auth_issuer="x",
        kafka_security_protocol="SASL_PLAINTEXT",
    )
    with pytest.raises(Misconfigured, match="KAFKA_USERNAME and KAFKA_PASSWORD"):
        Connection.of(settings)


def test_a_migration_needs_no_kafka_that_keeps_its_own_topics(secured: Secured, tmp_path: Path) -> None:
    settings = {
        **secured.settings("reports"),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "KAFKA_USERNAME": "",
        "NAMESPACE": NAMESPACE,
    }
    platform = Platform(tmp_path, secured.mongodb.address, "127.0.0.1:1", NAMESPACE, settings)
    migration = platform.add("reports", "migrate")
    migration.launch()
    process = migration.process
    assert process is not None
    assert process.wait(60) == 0, migration.log.read_text()
    with secured.mongodb.client(username="reports", password=PASSWORD) as client:
        assert client[f"{NAMESPACE}reports"]["cases"].index_information().keys() > {"_id_"}
