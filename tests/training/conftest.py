import pytest
import torch

from xai_lib.data.split import Split


@pytest.fixture
def split():
    """Sixty 12-pixel images of three classes: a bright square in a class's own corner and colour, on noise."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 120, (60, 3, 12, 12), generator=generator, dtype=torch.uint8)
    labels = torch.arange(60) % 3
    for i, label in enumerate(labels.tolist()):
        images[i, label, 4 * label : 4 * label + 4, :5] += 130
    statistics = {"mean": (0.3, 0.3, 0.3), "std": (0.2, 0.2, 0.2)}
    return Split(
        images=images,
        labels=labels,
        classes=("red", "green", "blue"),
        index=torch.arange(60) + 1000,
        name="squares",
        part="train",
        source="squares-1",
        **statistics,
    )
