"""Shared library of the companion: data, training, explaining, scoring, evidence.

This file imports nothing: it is loaded inside ``import torch`` (see ``_torchvision_ops``).
"""

__version__ = "0.1.0"
