"""Clusters of a class, mosaics of two of them, and dominance of one over the other."""
