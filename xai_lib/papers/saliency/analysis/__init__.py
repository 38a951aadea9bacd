"""The paper's tables and what it argues, computed from a run of the benchmark."""
