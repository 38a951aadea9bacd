"""The long tail of class activation maps: pytorch-grad-cam's formulas on our own activations and gradients.

The library's ReLU, its scaling to [0,1] and its hooks are not used: maps are raw and signed, as all of ours.
"""

import torch
from torch import Tensor, nn

from xai_lib.explainers import cams
from xai_lib.explainers.passes import layer_maps
from xai_lib.explainers.registry import register
from xai_lib.explainers.scores import Score


@register("hires-cam", title="HiRes-CAM", paper="Draelos & Carin 2020", family="cam")
def hires_cam(
    model: nn.Module, x: Tensor, *, score: Score, layer: nn.Module | str | None = None, upsample: bool = True
) -> Tensor:
    """HiResCAM (Draelos & Carin §3): the sum over channels of gradient times activation, place by place.

    Arguments, shapes and errors are those of :func:`xai_lib.explainers.cams.grad_cam`. In units of the score: where
    the network behind the layer is linear but for a constant, the grid's sum is the score without that constant.
    """
    return _library_cam("HiResCAM", model, x, score, layer, upsample)


@register("layer-cam", title="Layer-CAM", paper="Jiang et al. 2021", family="cam")
def layer_cam(
    model: nn.Module, x: Tensor, *, score: Score, layer: nn.Module | str | None = None, upsample: bool = True
) -> Tensor:
    """LayerCAM (Jiang et al. §III): as HiResCAM, with negative gradients taken as 0.

    Arguments, shapes and errors are those of :func:`xai_lib.explainers.cams.grad_cam`. In units of the score; behind a
    ReLU no value is negative.
    """
    return _library_cam("LayerCAM", model, x, score, layer, upsample)


@register("xgrad-cam", title="XGrad-CAM", paper="Fu et al. 2020", family="cam")
def xgrad_cam(
    model: nn.Module, x: Tensor, *, score: Score, layer: nn.Module | str | None = None, upsample: bool = True
) -> Tensor:
    """XGrad-CAM (Fu et al. §3): channels weighted by the mean of their gradients, itself weighted by activation.

    Arguments, shapes and errors are those of :func:`xai_lib.explainers.cams.grad_cam`. In units of the score. The
    weights divide by a channel's sum of activations: behind a ReLU no sum is negative, elsewhere it can be near 0.
    """
    return _library_cam("XGradCAM", model, x, score, layer, upsample)


def _library_cam(
    method: str, model: nn.Module, x: Tensor, score: Score, layer: nn.Module | str | None, upsample: bool
) -> Tensor:
    import pytorch_grad_cam  # here, because it takes seconds and only these methods need it

    formula = getattr(pytorch_grad_cam, method)(model=nn.PReLU(), target_layers=[])  # a stand-in: no layer is hooked

    def combine(activations: Tensor, gradient: Tensor) -> Tensor:
        arrays = activations.cpu().numpy(), gradient.cpu().numpy()
        maps = formula.get_cam_image(None, None, None, *arrays, eigen_smooth=False)
        return torch.from_numpy(maps).to(activations)

    return cams.on_images(layer_maps(model, x, score, layer, combine), x, upsample)
