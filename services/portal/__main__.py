"""`python -m services.portal api | worker | all | rebuild board`."""

from services.portal.app import SERVICE
from shared.service import main

main(SERVICE)
