"""The servers under everything else: what they acknowledged survives a crash; they end with their starter."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from pymongo import MongoClient

from deploy.local import tools
from deploy.local.servers import Server, StartFailed, free_port


def test_mongodb_keeps_a_committed_transaction_through_sigkill(own_mongodb: Server) -> None:
    with MongoClient[dict[str, Any]](own_mongodb.address, w="majority", journal=True) as client:
        with client.start_session() as session, session.start_transaction():
            client.kept.cases.insert_one({"_id": 1}, session=session)
        own_mongodb.kill()
        assert own_mongodb.process is None
        own_mongodb.start()
        assert client.kept.cases.find_one() == {"_id": 1}


async def test_kafka_keeps_an_acknowledged_message_through_sigkill(own_kafka: Server) -> None:
    await _create_topic(own_kafka.address, "kept")
    producer = AIOKafkaProducer(bootstrap_servers=own_kafka.address, acks="all", enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait("kept", b"message")
    await producer.stop()
    await asyncio.to_thread(own_kafka.kill)
    await asyncio.to_thread(own_kafka.start)
    consumer = AIOKafkaConsumer("kept", bootstrap_servers=own_kafka.address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        assert (await consumer.getone()).value == b"message"
    finally:
        await consumer.stop()


def test_a_paused_server_does_not_answer_until_it_is_resumed(own_mongodb: Server) -> None:
    own_mongodb.pause()
    assert own_mongodb.process is not None
    assert not own_mongodb.is_ready()
    own_mongodb.resume()
    own_mongodb.wait_until_ready()


def test_a_server_that_ends_while_starting_says_why(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "raise SystemExit('port taken')"]
    server = Server("broken", lambda: program, address="", folder=tmp_path, is_ready=lambda: False)
    with pytest.raises(StartFailed, match="port taken"):
        server.start()


def test_a_pid_file_of_another_process_is_not_ours(tmp_path: Path) -> None:
    server = Server("old", lambda: ["sleep", "60"], address="", folder=tmp_path, is_ready=lambda: True)
    (tmp_path / "old.pid").write_text(json.dumps({"pid": os.getpid(), "command": ["sleep", "60"]}))
    assert server.process is None
    server.stop()
    assert not (tmp_path / "old.pid").exists()


def test_a_detached_server_is_found_again_by_its_pid_file(tmp_path: Path) -> None:
    def server(version: str) -> Server:
        return Server(
            "kept",
            lambda: ["sleep", "60"],
            address="",
            folder=tmp_path,
            is_ready=lambda: True,
            version=version,
            tied=False,
        )

    started = server("1").start()
    try:
        assert server("1").pid == started.pid
        assert not server("1").is_outdated
        assert server("2").is_outdated
    finally:
        server("1").stop()
    assert started.process is None


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_servers_end_with_the_process_that_started_them(tmp_path: Path, how: signal.Signals) -> None:
    program = f"""
        import sys, threading, time
        from pathlib import Path
        from deploy.local.servers import start_mongod
        started, folder = [], Path({str(tmp_path)!r})
        thread = threading.Thread(target=lambda: started.append(start_mongod(folder, {free_port()})))
        thread.start()
        thread.join()
        print(started[0].pid, flush=True)
        time.sleep(60)
    """
    starter = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=tools.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert starter.stdout is not None
    mongod = psutil.Process(int(starter.stdout.readline()))
    starter.send_signal(how)
    starter.wait()
    starter.stdout.close()
    mongod.wait(timeout=10)
    assert not mongod.is_running()


async def _create_topic(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    await admin.close()
