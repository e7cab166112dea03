"""`python -m services.scoring api | worker | all`; `export`, `verify` of a period; `verify-rebuild` of all ledgers."""

import sys


def run() -> None:
    """The command line of the service."""
    # Verifying must be possible where there is no server, nor anything that knows one.
    match sys.argv[1:2]:
        case ["verify"]:
            from services.scoring.cli import verify  # noqa: PLC0415

            sys.exit(verify.main(sys.argv[2:]))
        case ["export"]:
            from services.scoring.cli import export  # noqa: PLC0415

            sys.exit(export.main(sys.argv[2:]))
        case ["verify-rebuild"]:
            from services.scoring.cli import rebuild  # noqa: PLC0415

            sys.exit(rebuild.main(sys.argv[2:]))
        case _:
            from services.scoring.app import SERVICE  # noqa: PLC0415
            from shared.service import main  # noqa: PLC0415

            main(SERVICE)


if __name__ == "__main__":
    run()
