"""What every page is made of: tables, verdicts, provenance, names, style."""
