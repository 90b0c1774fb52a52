"""Deciding: checks are run through a caller, mistakes are named. Never imports the worker."""
