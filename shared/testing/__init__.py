"""Fakes that pass the same contract suites as the real servers. Imported by tests only."""
