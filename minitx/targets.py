"""Which targets count: said once, for those who make targets and those who measure losses."""

IGNORE = -100
"""The target that counts for nothing, as in PyTorch: padding, and tokens not asked about."""
