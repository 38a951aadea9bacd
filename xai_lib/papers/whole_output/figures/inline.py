"""What is written into a page: pictures and maps as PNG files, and the files beside this one."""

import io
from base64 import b64encode
from importlib.resources import files

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from xai_lib.explainers.normalise import min_max


def png(picture: Tensor, side: int) -> bytes:
    """A picture, float [3,H,W] in [0,1], as PNG of that height, its pixels kept where it is enlarged."""
    values = (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    image = Image.fromarray(np.ascontiguousarray(values))
    how = Image.Resampling.NEAREST if image.height < side else Image.Resampling.LANCZOS
    file = io.BytesIO()
    image.resize((round(side * image.width / image.height), side), how).save(file, "PNG", optimize=True)
    return file.getvalue()


def overlaid(picture: Tensor, heat: Tensor) -> Tensor:
    """A map, float [H,W], over the grey picture, float [3,H,W] in [0,1]."""
    colours = matplotlib.colormaps["inferno"](min_max(heat[None].float())[0].numpy())[..., :3]
    grey = picture.mean(0).numpy()[..., None]
    return torch.from_numpy(0.4 * grey + 0.6 * colours).permute(2, 0, 1)


def inline(file: bytes) -> str:
    """A PNG file as an address that holds the file itself."""
    return f"data:image/png;base64,{b64encode(file).decode()}"


def beside(name: str) -> str:
    """The text of a template, style or script in this folder."""
    return (files("xai_lib.papers.whole_output.figures") / name).read_text("utf-8")
