"""Relevance propagation by zennit's rules: what the score is made of, passed back layer by layer (:mod:`rules`)."""

from collections import OrderedDict

from torch import Tensor, nn
from zennit.core import BasicHook, Hook
from zennit.rules import Epsilon, Flat, NoMod, Norm, ZPlus

from xai_lib.explainers import cams
from xai_lib.explainers.layers import Layer, find_layer
from xai_lib.explainers.passes import layer_maps
from xai_lib.explainers.registry import Score, register
from xai_lib.explainers.rules import ruled


@register("lrp", title="LRP", paper="Bach et al. 2015", family="relevance", colours=True, complete="logit")
def lrp(model: nn.Module, x: Tensor, *, score: Score, layer: Layer = None, epsilon: float = 1e-6) -> Tensor:
    """Layer-wise relevance propagation to the image (Bach et al. 2015), by the usual composite of rules.

    The ε-rule for linear layers, the z⁺-rule for convolutions and the flat rule for the first one that runs, after
    batch normalisation has been merged into the convolution before it (Montavon et al. 2019; Kohlbrenner et al. 2020).
    It starts with each logit times the score's gradient at it: the relevance of a class is its logit, and of a negative
    logit most places have a negative share. A map adds up to the score if that is linear in the logits and the network
    has no biases, which take their share. In units of the score; the flat rule gives an image's colours the same value.
    `epsilon` is that of the ε-rule, above 0. ValueError for a network that the rules do not cover (:mod:`rules`).

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
        >>> model[1].weight.data = torch.tensor([[3.0, 1.0], [0.0, 0.0]])
        >>> lrp(model, torch.tensor([[[[2.0, 4.0]]]]), score=lambda logits: logits[:, 0])  # 10 in all, the flat rule
        tensor([[[[5.0000, 5.0000]]]])
    """
    if not epsilon > 0:
        raise ValueError(f"Expected epsilon above 0. Got {epsilon}.")

    def rule_of(module: nn.Module, first: bool) -> Hook:
        return Flat() if first else Epsilon(epsilon) if isinstance(module, nn.Linear) else ZPlus()

    with ruled(model, x, rule_of, Norm(), shares=False) as network:
        from_images = nn.Sequential(OrderedDict(images=nn.Identity(), network=network))
        return layer_maps(from_images, x, score, "images", lambda _, relevance: network.rules.conserved(relevance))


@register("excitation-backprop", title="MWP", paper="Zhang et al. 2018", family="relevance")
def excitation_backprop(
    model: nn.Module, x: Tensor, *, score: Score, layer: Layer = None, upsample: bool = True
) -> Tensor:
    """Excitation backprop, the marginal winning probability at a layer, summed over channels (Zhang et al. 2018, §3).

    Each neuron passes its probability to those below in proportion to activations times weight where that is positive,
    without biases; so do the sums of residual blocks (zennit's own rule for them passes negative shares as well).
    Batch normalisation is first merged into the convolution before it. It starts with the score's gradient at the
    logits, which for a class is 1 at its logit: the map of a difference is the difference of the maps. For a class, not
    negative and adding up to 1 on the layer's grid, or to less where a neuron has no excitatory input. The method is
    for activations that are not negative: behind the layer, only (clipped) ReLUs are covered, and linear layers read
    nothing below 0. ValueError for a network that the rules do not cover (:mod:`rules`).

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2))
        >>> model[3].weight.data = torch.ones(2, 1)
        >>> excitation_backprop(model, torch.tensor([[[[1.0, 3.0]]]]), score=lambda logits: logits[:, 0], layer="0")
        tensor([[[0.2500, 0.7500]]])
    """
    name, _ = find_layer(model, layer, x)
    excitatory = BasicHook(  # of sums and averages: in proportion to what goes in and is positive
        input_modifiers=[lambda activations: activations.clamp(min=0)], param_modifiers=[NoMod(param_keys=[])]
    )
    rule = ZPlus(zero_params=["bias"])
    with ruled(model, x, lambda *_: rule, excitatory, shares=True) as network:
        _, copied = find_layer(network.network, name)
        maps = layer_maps(network, x, score, copied, lambda _, shares: network.rules.conserved(shares).sum(1))
    return cams.on_images(maps, x, upsample)
