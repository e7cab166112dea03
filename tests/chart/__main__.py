"""Writes what the presets render to into tests/chart/golden: python -m tests.chart."""

from tests.chart.golden import GOLDEN, golden

for name, path in GOLDEN.items():
    path.write_text(golden(name))
