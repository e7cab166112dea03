"""A real day of a big city's hotline, replayed through the platform's public interfaces in compressed time.

`source` reads the city's file, `plan` turns its rows into timed acts without touching the network, `play` does them.
"""
