"""Run it: settings, stages and their store, the workflow, provenance, the notebooks."""
