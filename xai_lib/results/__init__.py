"""What a run found, as numbers: one module a paper, each function one tidy frame."""
