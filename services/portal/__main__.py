"""`python -m services.portal api | worker | all | rebuild board`."""

from services.portal.app import SERVICE
from shared.service import main


def run() -> None:
    """The command line of the service."""
    main(SERVICE)


if __name__ == "__main__":
    run()
