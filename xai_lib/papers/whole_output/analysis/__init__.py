"""The paper's tables and what it claims, computed from a run."""
