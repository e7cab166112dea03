"""The command line of the HTTP edge: `python -m shared.http matrix` prints who may call what."""

from __future__ import annotations

import argparse
import sys

from shared.http.matrix import PACKAGE, services_in, table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m shared.http", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("matrix").add_argument("package", nargs="?", default=PACKAGE)
    sys.stdout.write(table(services_in(parser.parse_args().package)))


main()
