"""Numbers of the dominance part."""
