"""What the chapters measure with: one instrument or one table per file."""

from minitx.measure.table import Table

__all__ = ["Table"]
