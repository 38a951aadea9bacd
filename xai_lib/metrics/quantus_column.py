"""What the authors' tools say, as columns beside ours: maps by pytorch-grad-cam, scores by quantus (§4.3, §4.4).

Only metrics that quantus 0.6 computes soundly stand here, and each map is scaled to [0, 1] before the call, because
quantus divides by the largest value of a whole batch.
"""

import warnings
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from xai_lib.data.split import Split

_COLOUR_VALUES_A_STEP = 32  # the released setting: quantus flips colour values, three a pixel
QUIET = {"disable_warnings": True, "display_progressbar": False, "normalise": False, "abs": True}
_FLIPPING = {"features_in_step": _COLOUR_VALUES_A_STEP, "perturb_baseline": "black", "return_auc_per_sample": True}
_TOOLS = {"pixel-flipping": "PixelFlipping", "complexity": "Complexity", "sparseness": "Sparseness"}
_MASKED = {"pointing-game": "PointingGame", "attribution-localisation": "AttributionLocalisation"}


def scores(network: nn.Module, split: Split, maps: Tensor, n: int) -> dict[str, Tensor]:
    """Scores of the first ``n`` images, float64 [n] under "<metric> (quantus)"; NaN for empty maps.

    Of a network in evaluation mode, images with labels and, where there are any, masks, and maps scaled to [0, 1],
    float [N,H,W]. Pixel flipping here is the released one (``released_curve``), its area taken over [0, 1] as ours is.
    """
    x, y = split.normalise(split.images[:n]).cpu().numpy(), split.labels[:n].cpu().numpy()
    a = maps[:n, None].cpu().numpy()
    mask = split.masks["object"][:n, None].cpu().numpy() if "object" in split.masks else None
    empty = torch.from_numpy((a == a[:, :1, :1, :1]).all(axis=(1, 2, 3)))
    batch = {"model": network, "x_batch": x, "y_batch": y, "device": str(split.images.device), "channel_first": True}
    found = {}
    # quantus 0.6 calls np.trapz, which numpy 2.4 no longer has.
    with mock.patch.object(np, "trapz", np.trapezoid, create=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in a notebook, a library of quantus' misses widgets and says so on the page
        import quantus  # takes seconds, which those who only read scores should not wait

        for name, tool in (_TOOLS if mask is None else _TOOLS | _MASKED).items():
            of_mask = name in _MASKED
            metric = getattr(quantus, tool)(**(_FLIPPING if name == "pixel-flipping" else {}), **QUIET)
            values = metric(**batch, a_batch=a.copy(), s_batch=mask if of_mask else None, softmax=True)
            tensor = torch.tensor(np.asarray(values, dtype=float).reshape(-1))
            if name == "pixel-flipping":  # quantus takes a spacing of 1 between points
                tensor = tensor / (x[0].size // _COLOUR_VALUES_A_STEP - 1)
            undefined = empty | ~torch.from_numpy(mask.any(axis=(1, 2, 3))) if of_mask else empty
            found[f"{name} (quantus)"] = tensor.masked_fill(undefined, float("nan"))
    return found


def tool_maps(tool: str, network: nn.Module, layer: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """Maps of classes ``target`` by one of pytorch-grad-cam's tools ("GradCAM", …) at a layer of a network.

    Of normalised images [B,3,H,W] and a network in evaluation mode. float32 [B,H,W] in [0, 1], on the images' device.
    """
    import pytorch_grad_cam  # takes seconds, as quantus does
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        mock.patch("pytorch_grad_cam.score_cam.tqdm.tqdm", iter),  # no bar for each image
        getattr(pytorch_grad_cam, tool)(network, [layer]) as cam,
    ):
        maps = cam(x.clone(), [ClassifierOutputTarget(label) for label in target.tolist()])
    network.zero_grad(set_to_none=True)  # the tool leaves its gradients behind
    return torch.from_numpy(maps).float().to(x.device)
