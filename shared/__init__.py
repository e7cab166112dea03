"""The few deep modules every service stands on."""
