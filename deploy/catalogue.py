"""What a Kafka cluster must know of the platform, made from the catalogue of topics: topics, and each service's rights.

    python -m deploy.catalogue          write helm/chuangwen/files/kafka.json, which the chart makes resources from
    python -m deploy.catalogue acls     the same rights as commands of Kafka's own tool, for a cluster without Strimzi

A service may write the topics it owns, read those that it listens to, and use its own consumer groups; nothing else.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from deploy.local.stack import SERVICES
from deploy.local.tools import ROOT
from shared.contracts import SUBSCRIPTIONS, TOPICS
from shared.service import Service

FILE = ROOT / "helm/chuangwen/files/kafka.json"


@dataclass(frozen=True)
class Right:
    """What may be done with one resource, or with all whose names begin so (`prefix`)."""

    resource: Literal["topic", "group"]
    name: str
    pattern: Literal["literal", "prefix"]
    operations: tuple[str, ...]


def rights(service: str) -> list[Right]:
    """What a service may do, and no more."""
    generations = read_models(service)
    groups = {group: topics for group, topics in SUBSCRIPTIONS.items() if group.startswith(f"{service}.")}
    read = {topic for topics in groups.values() for topic in topics}
    written = {topic.name for topic in TOPICS.values() if topic.owner == service}
    written |= {f"{group}.dlq" for group in groups if group not in generations}
    listed = [
        Right("topic", topic, "literal", _operations(topic in read, topic in written))
        for topic in sorted(read | written)
    ]
    # Each generation has dead letters of its own, made when it is built.
    listed += [Right("topic", f"{group}.", "prefix", ("Create", "Describe", "Write")) for group in sorted(generations)]
    # Of its own: a generation and a verification are groups beside the ones that are known before.
    listed.append(Right("group", f"{service}.", "prefix", ("Describe", "Read")))
    return listed


def topics() -> Iterator[tuple[str, int]]:
    """Every topic and its number of partitions, those of dead letters included."""
    for topic in TOPICS.values():
        yield topic.name, topic.partitions
    for group in SUBSCRIPTIONS:
        first = ".g1" if group in read_models(group.partition(".")[0]) else ""
        yield f"{group}{first}.dlq", next(iter(TOPICS.values())).partitions


def read_models(service: str) -> set[str]:
    """The consumer groups of a service that have generations."""
    app: Service = importlib.import_module(f"services.{service}.app").SERVICE
    return {f"{service}.{model.name}" for model in app.read_models}


def document() -> str:
    """The catalogue as the chart reads it."""
    catalogue = {
        "topics": [{"name": name, "partitions": partitions} for name, partitions in sorted(topics())],
        "users": [{"service": name, "rights": [asdict(right) for right in rights(name)]} for name in SERVICES],
    }
    return json.dumps(catalogue, indent=1, ensure_ascii=False) + "\n"


def acls(namespace: str = "", prefix: str = "chuangwen-") -> Iterator[list[str]]:
    """Arguments of `kafka-acls.sh`, one list a right; users are named `<prefix><service>`."""
    for service in SERVICES:
        for right in rights(service):
            yield [
                *("--add", "--allow-principal", f"User:{prefix}{service}"),
                *(part for operation in right.operations for part in ("--operation", operation)),
                *(f"--{right.resource}", f"{namespace}{right.name}"),
                *("--resource-pattern-type", "prefixed" if right.pattern == "prefix" else "literal"),
            ]


def _operations(read: bool, written: bool) -> tuple[str, ...]:
    return ("Describe", *(("Read",) if read else ()), *(("Write",) if written else ()))


def main(arguments: list[str]) -> int:
    if arguments == ["acls"]:
        for line in acls():
            print(" ".join(["kafka-acls.sh --bootstrap-server $BOOTSTRAP --command-config admin.properties", *line]))
    else:
        FILE.write_text(document())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
