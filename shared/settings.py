"""What every service is told by its environment."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.clock import Clock, FileClock, SystemClock


class Misconfigured(Exception):
    """The environment does not say what the service needs; the text tells what to set."""


class Settings(BaseSettings):
    """Settings from environment variables of the same names in upper case (`MONGODB_URI`), read once.

    A service adds its own in a subclass. Use `Settings.read()`, which tells an operator what to set.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    namespace: str = Field(default="", pattern=r"^[a-z0-9-]{0,20}$")
    """Prefix of database, topic and group names, so that several platforms share one set of servers."""
    mongodb_uri: str = Field(repr=False, description="mongodb://host:port/?replicaSet=…")
    kafka_bootstrap_servers: str = Field(description="host:port[,host:port…]")
    kafka_partitions: int | None = Field(default=None, ge=1, le=1000)
    """Partitions of topics this process creates, instead of the contracts' number (small machines)."""
    kafka_replicas: int = Field(default=1, ge=1, le=9)
    """Copies of topics this process creates; 3 in production."""
    kafka_session_timeout: float = Field(default=30.0, ge=6, le=300)
    """Seconds after which a silent consumer loses its partitions."""
    store_driver: Literal["motor", "pymongo"] = "motor"
    http_host: str = "127.0.0.1"
    http_port: int = Field(ge=0, le=65535, description="a TCP port; 0 lets the system choose")
    auth_jwks: str = Field(description="path or https address of the issuer's JSON Web Key Set")
    auth_issuer: str = Field(min_length=1, description="the `iss` of accepted tokens")
    auth_audience: str = Field(default="chuangwen", min_length=1)
    clock_file: Path | None = None
    """A file that sets the clock of a demonstration; never in production."""
    trusted_proxies: str = Field(default="", description="networks like 10.0.0.0/8, separated by commas")
    """Peers whose `X-Forwarded-For` is believed; nobody's, unless named."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("mongodb_uri")
    @classmethod
    def _is_mongodb(cls, value: str) -> str:
        if not value.startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must start with mongodb:// or mongodb+srv://")
        return value

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        if not all(address.rpartition(":")[2].isdigit() for address in value.split(",")):
            raise ValueError("must be host:port, several separated by commas")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for network in filter(None, value.split(",")):
            ip_network(network.strip())
        return value

    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The trusted proxies."""
        return tuple(ip_network(network.strip()) for network in self.trusted_proxies.split(",") if network.strip())

    @classmethod
    def read(cls) -> Self:
        """The settings of the environment. Raises Misconfigured, which names every variable at fault."""
        try:
            return cls()
        except ValidationError as error:
            told = (_remedy(cls, str(fault["loc"][0]), fault["msg"]) for fault in error.errors())
            raise Misconfigured("\n".join(told)) from None

    def clock(self) -> Clock:
        """The clock of this environment."""
        return FileClock(self.clock_file) if self.clock_file else SystemClock()


def _remedy(settings: type[Settings], name: str, fault: str) -> str:
    hint = settings.model_fields[name].description if name in settings.model_fields else None
    return f"set {name.upper()}{f' to {hint}' if hint else ''}: {fault}"
