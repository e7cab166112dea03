"""Inputs that broke other products doing this job; each test bears the number of its case."""
