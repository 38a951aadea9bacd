"""Names that readers see, for the names by which the library knows losses, methods and metrics."""

from collections.abc import Callable, Iterator, Mapping

from xai_lib.explainers.registry import EXPLAINERS
from xai_lib.metrics.registry import METRICS
from xai_lib.registry import Entry, Registry


class Shown(Mapping[str, str]):
    """Name in a registry -> what a reader sees, also for what is registered later; in the order of registration."""

    def __init__(self, registry: Registry, shown: Callable[[Entry], str]) -> None:
        self._registry, self._shown = registry, shown

    def __getitem__(self, name: str) -> str:
        return self._shown(self._registry.entries[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry.entries)

    def __len__(self) -> int:
        return len(self._registry.entries)


LOSS_NAMES = {"ce": "CE", "scl": "SCL", "tl": "TL"}
METHOD_NAMES = Shown(EXPLAINERS, lambda explainer: explainer.title)
FAMILY_NAMES = {name: name for name in ("uninformed", "gradient", "cam", "occlusion", "learning", "relevance")}
FAMILY_NAMES |= {"cam": "class activation map", "elsewhere": "computed elsewhere"}
TRANSFORM_NAMES = {"mixup": "MixUp", "resize": "Resize", "rotation": "Rotation", "crop": "Crop"}
METRIC_NAMES = Shown(METRICS, lambda metric: f"{metric.title} {metric.arrow}")
# Ways to explain a whole output, and the scores of their maps.
WHOLE_OUTPUT_NAMES = {
    "swox": "SWOX",
    "cwox-1sa": "CWOX-1sA",
    "cwox-1sb": "CWOX-1sB",
    "cwox-2s": "CWOX-2s",
    "cwox-1sa-fine": "CWOX-1sA, second stage's maps",
    "cwox-2s-coarse": "CWOX-2s, first stage's maps",
    "random": "CWOX-2s, shifted at random",
}
CONTRASTIVE_NAMES = {"cauc": "CAUC ↓", "cdrop": "CDROP ↑", "salient-share": "salient pixels (%)"}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # of the clusters of a class, A the largest


def network_name(name: str) -> str:
    """What a reader sees of a network, from the name of its architecture, before which may stand "tuned-"."""
    said = name.replace("-", " ").replace("efficientnet lite", "EfficientNet-Lite").replace("tuned", "fine-tuned")
    return said.replace("resnet", "ResNet-").replace("googlenet", "GoogLeNet")
