"""Servers as a careful operator runs them: TLS, a user for each service, rights of least privilege."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from pymongo import MongoClient

from deploy import catalogue
from deploy.local import servers, tools
from deploy.local.servers import KAFKA_CLUSTER, REPLICA_SET, Server, StartFailed, free_port
from deploy.local.stack import SERVICES
from tests.clusters.authority import Authority

ADMIN = "admin"
PASSWORD = "correct-horse-battery"


class SecuredKafka:
    """A broker that speaks SASL_SSL only (SCRAM-SHA-512) and allows what the catalogue says, nothing else."""

    def __init__(self, folder: Path, authority: Authority, namespace: str) -> None:
        self.folder = folder
        self.namespace = namespace
        self.certificate = authority.issue("kafka", folder / "kafka.pem")
        self.port, controller = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._admin = folder / "admin.properties"
        self._properties = folder / "server.properties"
        template = (tools.KAFKA / "server.properties").read_text()
        self._properties.write_text(
            _filled(template, port=self.port, controller_port=controller, data=folder / "data")
            + _SECURED.format(port=self.port, controller=controller, certificate=self.certificate, ca=authority.file)
        )
        self._admin.write_text(_client(ADMIN, authority.file))

    def start(self) -> Server:
        """Running, with the users of all services and their rights."""
        users = [ADMIN, *(user(service) for service in SERVICES)]
        scram = [part for name in users for part in ("--add-scram", _scram(name))]
        self._java("kafka.tools.StorageTool", "format", "-t", KAFKA_CLUSTER, "-c", str(self._properties), *scram)
        server = Server(
            "kafka",
            lambda: [*self._jvm(), "kafka.Kafka", str(self._properties)],
            address=self.address,
            folder=self.folder,
            is_ready=self._answers,
        )
        server.start()
        self._grant()
        return server

    def _grant(self) -> None:
        lines = [
            "\t".join((f"User:{user(service)}", right.resource, self.namespace + right.name, pattern, operation))
            for service in SERVICES
            for right in catalogue.rights(service)
            for pattern in ["prefixed" if right.pattern == "prefix" else "literal"]
            for operation in right.operations
        ]
        script, rights = self.folder / "Grant.java", self.folder / "rights"
        script.write_text(_GRANT)
        rights.write_text("\n".join(lines))
        self._java(str(script), str(self._admin), self.address, str(rights))

    def _answers(self) -> bool:
        return not servers.port_is_free(self.port)

    def _java(self, *command: str) -> None:
        done = subprocess.run([*self._jvm(), *command], check=False, capture_output=True, text=True)
        if done.returncode:
            raise StartFailed(done.stdout + done.stderr)

    def _jvm(self) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={tools.KAFKA / 'log4j2.properties'}"
        return [tools.java(), *servers.JVM, logging, "-cp", f"{tools.kafka_libraries()}/*"]


def user(service: str) -> str:
    """The Kafka user of a service, as the catalogue's rights name it."""
    return f"chuangwen-{service}"


def _scram(name: str) -> str:
    return f"SCRAM-SHA-512=[name={name},password={PASSWORD}]"


def _client(name: str, ca: Path) -> str:
    return (
        "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n"
        f"ssl.truststore.type=PEM\nssl.truststore.location={ca}\n"
        "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required "
        f'username="{name}" password="{PASSWORD}";\n'
    )


def _filled(template: str, **values: object) -> str:
    kept = [line for line in template.splitlines() if not line.startswith(("listeners=", "advertised.listeners="))]
    return Template("\n".join(kept)).substitute(values) + "\n"


_SECURED = """
listeners=SECURED://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SECURED://127.0.0.1:{port}
listener.security.protocol.map=SECURED:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=SECURED
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.secured.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\
  username="admin" password="correct-horse-battery";
ssl.keystore.type=PEM
ssl.keystore.location={certificate}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:ANONYMOUS
allow.everyone.if.no.acl.found=false
"""
_GRANT = """
import java.nio.file.*;
import java.util.*;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.resource.*;

public class Grant {
  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    try (var file = Files.newBufferedReader(Path.of(arguments[0]))) { properties.load(file); }
    properties.put("bootstrap.servers", arguments[1]);
    List<AclBinding> rights = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of(arguments[2]))) {
      String[] part = line.split("\t");
      var type = PatternType.valueOf(part[3].toUpperCase());
      var pattern = new ResourcePattern(ResourceType.fromString(part[1]), part[2], type);
      var operation = AclOperation.fromString(part[4]);
      rights.add(new AclBinding(pattern, new AccessControlEntry(part[0], "*", operation, AclPermissionType.ALLOW)));
    }
    try (Admin admin = Admin.create(properties)) { admin.createAcls(rights).all().get(); }
  }
}
"""


class SecuredMongo:
    """A replica set of one that demands TLS and a user, with a user for each service's own database."""

    def __init__(self, folder: Path, authority: Authority, namespace: str) -> None:
        self.folder = folder
        self.namespace = namespace
        self.authority = authority
        self.port = free_port()
        self.certificate = authority.issue("mongodb", folder / "mongodb.pem")
        self.address = f"mongodb://127.0.0.1:{self.port}/?replicaSet={REPLICA_SET}"

    def start(self) -> Server:
        """Running, with its users."""
        server = Server("mongodb", self._command, address=self.address, folder=self.folder, is_ready=self._is_primary)
        server.start()
        self._create_users()
        return server

    def _command(self) -> list[str]:
        data, key = self.folder / "data", self.folder / "keyfile"
        data.mkdir(parents=True, exist_ok=True)
        key.write_text("c2VjcmV0b2Z0aGVyZXBsaWNhc2V0")
        key.chmod(0o600)
        return [
            *(tools.mongod(), "--dbpath", str(data), "--bind_ip", "127.0.0.1", "--port", str(self.port)),
            *("--replSet", REPLICA_SET, "--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"),
            *("--keyFile", str(key), "--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(self.certificate)),
            *("--tlsCAFile", str(self.authority.file), "--tlsAllowConnectionsWithoutCertificates", "--quiet"),
        ]

    def client(self, **options: Any) -> MongoClient[dict[str, Any]]:
        """A client with TLS; without a name it may only do what the localhost exception allows."""
        return MongoClient(
            f"mongodb://127.0.0.1:{self.port}/?directConnection=true",
            tls=True,
            tlsCAFile=str(self.authority.file),
            serverSelectionTimeoutMS=2000,
            **options,
        )

    def _is_primary(self) -> bool:
        try:
            with self.client() as client:
                if not client.admin.command("hello").get("setName"):
                    members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
                    client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
                return bool(client.admin.command("hello").get("isWritablePrimary"))
        except Exception:
            return False

    def _create_users(self) -> None:
        with self.client() as client:
            roles = ["root"]
            client.admin.command("createUser", ADMIN, pwd=PASSWORD, roles=roles)
        with self.client(username=ADMIN, password=PASSWORD) as client:
            for service, rights in mongodb_roles(self.namespace).items():
                client.admin.command("createUser", service, pwd=PASSWORD, roles=rights)


def mongodb_roles(namespace: str = "") -> Mapping[str, list[dict[str, str]]]:
    """Each service's user may read and write its own database, and look after its indexes."""
    return {service: [{"role": "readWrite", "db": f"{namespace}{service}"}] for service in SERVICES}
