"""Lets torchvision be imported beside a torch whose build its compiled operators do not fit.

torchvision from the package registry is compiled against the CUDA build of torch. Beside a CPU build its
shared library cannot be loaded, and ``import torchvision`` then fails with «operator torchvision::nms does
not exist», although nothing here needs that operator. torch calls :func:`declare_missing` at the end of its
own import (entry point ``torch.backends``), so the fix holds whatever is imported first. Keep this file tiny.
"""

import importlib.util
from pathlib import Path

import torch

_library = None  # torch drops the declarations when this object dies


def declare_missing() -> None:
    """Declare ``torchvision::nms`` and ``qnms`` if torchvision's own library cannot be loaded; else do nothing."""
    global _library
    if torch.version.cuda or _library is not None:
        return
    spec = importlib.util.find_spec("torchvision")
    for shared_object in Path(spec.origin).parent.glob("_C*.so") if spec and spec.origin else ():
        try:
            torch.ops.load_library(shared_object)
        except OSError:
            _library = torch.library.Library("torchvision", "DEF")
            _library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            return
