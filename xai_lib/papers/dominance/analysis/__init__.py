"""Matrices, hierarchies and training shares, computed from a run."""
