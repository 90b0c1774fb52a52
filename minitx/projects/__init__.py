"""Whole projects: real data, a model, a training that can be stopped, and what it is good for."""
