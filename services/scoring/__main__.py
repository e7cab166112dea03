"""`python -m services.scoring api | worker | all`."""

from services.scoring.app import SERVICE
from shared.service import main

main(SERVICE)
