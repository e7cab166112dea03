"""`python -m services.reports api | worker | all`."""

from services.reports.app import SERVICE
from shared.service import main

main(SERVICE)
