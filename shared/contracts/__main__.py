"""python -m shared.contracts freeze    write the schemas of new and of compatibly changed events
python -m shared.contracts asyncapi  print the AsyncAPI document (docs/asyncapi.json is committed)"""

from __future__ import annotations

import argparse
import sys

from shared.contracts import PUBLISHED, SUBSCRIPTIONS
from shared.contracts.compatibility import Unsupported
from shared.contracts.documents import asyncapi_text
from shared.contracts.frozen import Broken, freeze


def main(arguments: list[str]) -> int:
    """Runs the command and returns the exit code: 1 when a frozen promise would be broken."""
    parser = argparse.ArgumentParser(
        prog="python -m shared.contracts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("freeze", "asyncapi"))
    if parser.parse_args(arguments).command == "asyncapi":
        sys.stdout.buffer.write(asyncapi_text(SUBSCRIPTIONS).encode())
        return 0
    try:
        written = freeze(PUBLISHED)
    except (Broken, Unsupported) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("".join(f"{file}\n" for file in written))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
