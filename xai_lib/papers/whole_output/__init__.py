"""Explaining all top classes of an image at once, in two stages (CWOX)."""

from xai_lib.papers import on_demand

__getattr__ = on_demand(__name__, explain_output="one_image")
