"""Confusion clusters, contrastive maps in two stages, and how faithful they are."""
