"""One function per use case: load, decide, save with the events that follow."""
