"""What every service is told by its environment."""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, FilePath, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.clock import Clock, FileClock, SystemClock


class Misconfigured(Exception):
    """The environment does not say what the service needs; the text tells what to set."""


class Environment(BaseSettings):
    """Settings from environment variables of the same names in upper case (`MONGODB_URI`), read once.

    Use `read()`, which tells an operator what to set. A `description` says in Chinese, then after ` · ` in English,
    what the setting means: docs/configuration.md is made from it.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    secrets_dir: Path | None = Field(
        default=None,
        description="密钥目录：每个文件名为小写的设置名，内容为其值；环境变量优先 · "
        "a folder of mounted secrets: a file is named as its setting, in lower case, and holds the value; "
        "environment variables win",
    )

    namespace: str = Field(
        default="",
        pattern=r"^[a-z0-9-]{0,20}$",
        description="数据库、主题和消费组名称的前缀，多套平台可共用一组服务器 · "
        "prefix of database, topic and group names, so that several platforms share one set of servers",
    )

    @classmethod
    def read(cls) -> Self:
        """The settings of the environment and of `SECRETS_DIR`. Raises Misconfigured, naming every one at fault."""
        folder = os.environ.get("SECRETS_DIR") or None
        if folder is not None and not Path(folder).is_dir():
            raise Misconfigured(f"set SECRETS_DIR to a folder: {folder} is none")
        try:
            return cls(_secrets_dir=folder)
        except ValidationError as error:
            remedies = (_remedy(cls, str(fault["loc"][0]), fault["msg"]) for fault in error.errors())
            raise Misconfigured("\n".join(remedies)) from None


class StoreSettings(Environment):
    """What it takes to read and write a service's database: all that most commands of an operator need."""

    mongodb_uri: str = Field(
        repr=False,
        description="MongoDB 副本集或分片集群（6 以上）的地址，如 mongodb://主机:27017/?replicaSet=rs0 · "
        "a replica set or sharded cluster, MongoDB 6 or newer, like mongodb://host:27017/?replicaSet=rs0",
    )
    mongodb_username: str | None = Field(
        default=None,
        description="MongoDB 用户，每个服务一个 · the service's own MongoDB user, unless the address names one",
    )
    mongodb_password: str | None = Field(default=None, repr=False, description="其密码 · the user's password")
    mongodb_ca_file: FilePath | None = Field(
        default=None,
        description="签发 MongoDB 证书的 CA（PEM），设置后启用 TLS · "
        "the authority of MongoDB's certificates, PEM; setting it switches TLS on",
    )
    mongodb_certificate_file: FilePath | None = Field(
        default=None,
        description="出示给 MongoDB 的证书与私钥（PEM） · a certificate with its key to show to MongoDB, PEM",
    )
    mongodb_pool: int = Field(
        default=24, ge=4, le=200, description="每个进程的 MongoDB 连接上限 · connections of one process, at most"
    )
    store_driver: Literal["motor", "pymongo"] = Field(
        default="motor",
        description="数据库驱动（见 decisions/0003） · the database driver (decisions/0003 says why there are two)",
    )
    clock_file: Path | None = Field(
        default=None,
        description="演示用的时钟文件，正式环境不设 · "
        "a file that sets the clock of a demonstration; never in production",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="日志级别 · what is worth a line in the log"
    )

    @field_validator("mongodb_uri")
    @classmethod
    def _is_mongodb(cls, value: str) -> str:
        if not value.startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must start with mongodb:// or mongodb+srv://")
        return value

    def clock(self) -> Clock:
        """The clock of this environment."""
        return FileClock(self.clock_file) if self.clock_file else SystemClock()


class DistrictSettings(Environment):
    """Where the district's own data are."""

    district: Path = Field(
        description="区数据目录，如 deploy/sample/hengyang · "
        "the folder of the district's data (units, areas, categories, limits, …), like deploy/sample/hengyang"
    )


class KafkaSettings(Environment):
    """How to reach the event log."""

    kafka_bootstrap_servers: str = Field(
        description="Kafka 3.5 以上的地址，主机:端口，多个用逗号分隔 · "
        "Kafka 3.5 or newer: host:port, several separated by commas"
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="Kafka 的安全协议 · how brokers are spoken to"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        default="SCRAM-SHA-512", description="SASL 机制 · how the service proves to brokers who it is"
    )
    kafka_username: str | None = Field(
        default=None,
        description="Kafka 用户；OAUTHBEARER 时为客户端标识 · "
        "the service's own Kafka user; with OAUTHBEARER its client id",
    )
    kafka_password: str | None = Field(
        default=None, repr=False, description="其密码或客户端密钥 · the user's password or the client's secret"
    )
    kafka_token_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="OAUTHBEARER 获取令牌的地址 · where OAUTHBEARER's tokens are got by client credentials",
    )
    kafka_ca_file: FilePath | None = Field(
        default=None,
        description="签发 Kafka 证书的 CA（PEM）；不设则用系统信任的 CA · "
        "the authority of the brokers' certificates, PEM; the machine's own authorities if not set",
    )
    kafka_certificate_file: FilePath | None = Field(
        default=None, description="出示给 Kafka 的证书（PEM） · a certificate to show to brokers, PEM"
    )
    kafka_key_file: FilePath | None = Field(
        default=None, description="其私钥（PEM），不在证书文件中时 · its key, unless the certificate's file holds it"
    )
    kafka_create_topics: bool = Field(
        default=True,
        description="是否创建缺少的主题；由集群管理时设为 false · "
        "whether missing topics are created; false where somebody else keeps them",
    )
    kafka_partitions: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="由本进程创建的主题的分区数；缺省用事件目录中的数目（24） · "
        "partitions of topics that this process creates; by default the catalogue's number (24)",
    )
    kafka_replicas: int = Field(
        default=1,
        ge=1,
        le=9,
        description="由本进程创建的主题的副本数，正式环境为 3 · "
        "copies of topics that this process creates; 3 in production",
    )
    kafka_session_timeout: float = Field(
        default=30.0,
        ge=6,
        le=300,
        description="消费者沉默多少秒后交出分区 · seconds after which a silent consumer loses its partitions",
    )

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        if not all(address.rpartition(":")[2].isdigit() for address in value.split(",")):
            raise ValueError("must be host:port, several separated by commas")
        return value


class HttpSettings(Environment):
    """Where to answer requests, and whom to believe."""

    http_host: str = Field(default="127.0.0.1", description="监听地址 · the address to listen on")
    http_port: int = Field(
        ge=0, le=65535, description="监听端口，0 由系统选择 · the TCP port to listen on; 0 lets the system choose"
    )
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="指标与探针的端口，不得对外；0 由系统选择 · "
        "the TCP port of metrics and probes, never to be public; 0 lets the system choose",
    )
    unready_seconds: float = Field(
        default=0.0,
        ge=0,
        le=60,
        description="停止前先报告未就绪的秒数 · seconds of telling that it is not ready, before its port closes",
    )
    auth_jwks: str = Field(
        description="身份提供方公钥集的路径或 https 地址 · path or https address of the issuer's JSON Web Key Set"
    )
    auth_issuer: str = Field(min_length=1, description="所接受令牌的 iss · the `iss` of accepted tokens")
    auth_audience: str = Field(
        default="chuangwen", min_length=1, description="所接受令牌的 aud · the `aud` of accepted tokens"
    )
    trusted_proxies: str = Field(
        default="",
        description="可信代理的网段（采信其 X-Forwarded-For），如 10.0.0.0/8，多个用逗号分隔 · "
        "networks whose `X-Forwarded-For` is believed, like 10.0.0.0/8, separated by commas; nobody's, unless named",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for network in filter(None, value.split(",")):
            ip_network(network.strip())
        return value

    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The trusted proxies."""
        return tuple(ip_network(network.strip()) for network in self.trusted_proxies.split(",") if network.strip())


class Settings(StoreSettings, KafkaSettings, HttpSettings):
    """What every service needs to run. A service adds its own in a subclass."""


def _remedy(settings: type[Environment], name: str, fault: str) -> str:
    meaning = settings.model_fields[name].description if name in settings.model_fields else None
    return f"set {name.upper()}{f' ({meaning})' if meaning else ''}: {fault}"
