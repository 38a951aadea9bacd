"""Run it: settings, stages and their store, the workflow, provenance, the notebooks."""

import ctypes
from contextlib import suppress

# glibc's mallopt: blocks up to 1 GB are kept when they are freed. Returning them to the system and asking again, layer
# by layer, slows a large network down on a processor. Other systems have no such function.
with suppress(AttributeError, OSError, TypeError):
    for option, value in ((-3, 1 << 30), (-1, (1 << 31) - 1)):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
        ctypes.CDLL(None).mallopt(option, value)
