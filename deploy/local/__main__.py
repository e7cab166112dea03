"""The command line of the local stack: python -m deploy.local up|down|status|reset|doctor|token|run|prepare."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable

from deploy.local import stack, tools
from deploy.local.issuer import Issuer
from deploy.local.servers import Server, StartFailed
from deploy.local.stack import Refused, Stack
from deploy.local.tools import Missing, inform
from shared.roles import Role


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        command = commands.add_parser(name)
        if name == "token":
            command.add_argument("--role", required=True, help="several separated by commas")
            command.add_argument("--unit", default="", help="code of an officer's unit")
            command.add_argument("--subject", default="", help="who it is; by default made from role and unit")
        if name == "run":
            command.add_argument("arguments", nargs=argparse.REMAINDER, help="a module and its own: shared.dlq list …")
    options = parser.parse_args()
    try:
        return COMMANDS[options.command](options)
    except (Missing, Refused, StartFailed) as fault:
        inform(str(fault))
        return 1
    except KeyboardInterrupt:
        inform("Interrupted; make down stops what has started.")
        return 130


def up(_: argparse.Namespace) -> int:
    inform("Starting MongoDB, Kafka and the services ...")
    with tools.locked(stack.LOCK):
        running = Stack()
        running.up()
    _show(running)
    return 0


def down(_: argparse.Namespace) -> int:
    with tools.locked(stack.LOCK):
        Stack().down()
    inform("Everything is stopped; the data stay for the next make up.")
    return 0


def reset(_: argparse.Namespace) -> int:
    with tools.locked(stack.LOCK):
        Stack().reset()
    inform("Everything is stopped; data and logs are removed.")
    return 0


def status(_: argparse.Namespace) -> int:
    running = Stack()
    for server in (*running.backing(), *running.services()):
        print(f"{server.name:10} {_state(server):14} {server.pid or '-':>8}  {server.address}")
    return 0


def _state(server: Server) -> str:
    if server.process is None:
        return "stopped"
    return "ready" if server.is_ready() else "not answering"


def doctor(_: argparse.Namespace) -> int:
    """Says of each thing the stack needs whether it is there; installs nothing."""
    checks: dict[str, Callable[[], str]] = {
        "MongoDB": tools.mongod,
        "Java": lambda: tools.java(install=False),
        "Kafka": tools.kafka_source,
        "Chromium": lambda: tools.chromium(install=False),
        "ports": _ports,
        "disk": _disk,
    }
    print(f"{'Python':10} ok       {sys.version.split()[0]}")
    return max([_check(name, look) for name, look in checks.items()])


def _check(name: str, look: Callable[[], str]) -> int:
    try:
        print(f"{name:10} ok       {look()}")
    except (Missing, Refused) as fault:
        print(f"{name:10} problem  {fault}")
        return 1
    return 0


def _ports() -> str:
    found = Stack()
    found.check_ports()
    return ", ".join(f"{name} {port}" for name, port in found.ports.items())


def _disk() -> str:
    free = shutil.disk_usage(tools.ROOT).free / 1e9
    if free < 2:
        raise Refused(f"only {free:.1f} GB free; at least 2 are needed")
    return f"{free:.0f} GB free"


def token(options: argparse.Namespace) -> int:
    roles, unit = options.role.split(","), options.unit or None
    subject = options.subject or "-".join(filter(None, [roles[0], unit]))
    try:
        print(Issuer(stack.ISSUER).token(subject, roles, unit))
    except ValueError as error:
        raise Refused(f"{error}; roles are {', '.join(Role)}") from error
    return 0


def run(options: argparse.Namespace) -> int:
    """A command of an operator, told where the stack's servers are; its exit code."""
    running = Stack()
    running.require_backing()
    environment = {**running.environment(), **os.environ}
    command = [sys.executable, "-m", *options.arguments]
    return subprocess.run(command, env=environment, check=False).returncode


def prepare(_: argparse.Namespace) -> int:
    """Installs what the tests need, so that no test waits for a download."""
    if "MONGODB_URI" not in os.environ:
        tools.mongod()
    if "KAFKA_BOOTSTRAP_SERVERS" not in os.environ:
        tools.java()
        tools.kafka_libraries()
    tools.chromium()
    return 0


def _show(running: Stack) -> None:
    print()
    for name, address in running.urls().items():
        print(f"  {name:10} {address:24} API: {address}/openapi.json")
    print("\nSample accounts 示例账号 (a token is valid for 12 hours):\n")
    for role, unit, meaning in stack.ACCOUNTS:
        arguments = f"ROLE={role}" + (f" UNIT={unit}" if unit else "")
        print(f"  make -s token {arguments:40} {meaning}")
    print(
        f"\nTry 试一试 (report a problem; it is given to a unit with a time limit):\n\n"
        f"  {stack.first_request(running.urls())}\n"
    )


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "up": up,
    "down": down,
    "status": status,
    "reset": reset,
    "doctor": doctor,
    "token": token,
    "run": run,
    "prepare": prepare,
}

if __name__ == "__main__":
    sys.exit(main())
