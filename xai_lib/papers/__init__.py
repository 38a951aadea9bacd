"""The four papers, a folder each: method, experiment, analysis, claims, figures, tables."""
