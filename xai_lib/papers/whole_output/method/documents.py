"""Documents: the top classes of each image, different ones, the most probable first, as a network says them or a file
holds them (whole-output §3). The file format is the CWOX authors': a JSON object from image to document.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from xai_lib.files import write_bytes
from xai_lib.forward import logits_of, undisturbed

CUMULATIVE = 0.95  # probability that a document covers (§5)


def top_classes(
    probabilities: Tensor, *, cumulative: float = CUMULATIVE, at_most: int | None = None
) -> list[list[int]]:
    """The smallest number of classes, taken by falling probability, that together have more than ``cumulative`` (§3).

    Of probabilities float [B,C], whose rows sum to 1, B documents of 1 to C classes; equal probabilities go by class
    number. A row whose sum, in float64, is rounded to no more than ``cumulative``, in [0, 1), gives all its classes.
    ``at_most`` is the longest document, None for no limit; the paper's evaluation has 5. TypeError or ValueError if
    these are no probabilities, or a setting is out of range.

    Example:
        >>> import torch
        >>> top_classes(torch.tensor([[0.1, 0.6, 0.3], [0.0, 0.03, 0.97]]))
        [[1, 2, 0], [2]]
    """
    if not isinstance(probabilities, Tensor) or not probabilities.is_floating_point():
        got = probabilities.dtype if isinstance(probabilities, Tensor) else type(probabilities).__name__
        raise TypeError(f"Expected probabilities as a float tensor [B,C]. Got {got}.")
    if probabilities.ndim != 2 or probabilities.shape[1] == 0:
        raise ValueError(f"Expected probabilities [B,C]. Got shape {list(probabilities.shape)}.")
    sums = probabilities.double().sum(1)
    if not ((probabilities >= 0).all() and ((sums - 1).abs() < 0.01).all()):
        raise ValueError(
            "Expected probabilities: rows of numbers of at least 0 that sum to 1. Got a number below 0, a NaN or "
            f"another sum, from {sums.min():.3g} to {sums.max():.3g}: apply softmax to logits first."
        )
    if not 0 <= cumulative < 1:
        raise ValueError(f"Expected cumulative in [0, 1). Got {cumulative!r}.")
    if at_most is not None and (type(at_most) is not int or at_most < 1):
        raise ValueError(f"Expected at_most as a whole number of at least 1, or None. Got {at_most!r}.")
    falling, order = probabilities.double().sort(dim=1, descending=True, stable=True)
    lengths = (1 + (falling.cumsum(1) <= cumulative).sum(1)).clamp(max=at_most or order.shape[1]).tolist()
    ranked = order[:, : max(lengths, default=0)].tolist()
    return [classes[:length] for classes, length in zip(ranked, lengths)]


def of_network(model: nn.Module, batches: Iterable[Tensor], *, cumulative: float = CUMULATIVE) -> list[list[int]]:
    """The :func:`top_classes` that a network gives to each image, by its softmax in float32, uncapped.

    The network is run in evaluation mode and left as it was, on batches of normalised images, float [B,c,H,W].
    TypeError or ValueError if a batch is not that, the model did not return [B,C], a logit is not finite, or a setting
    is out of range.
    """
    documents: list[list[int]] = []
    for x in batches:
        with undisturbed(model, x) as images:
            logits = logits_of(model, images).float()
        if not logits.isfinite().all():
            where = f"in the batch that begins with image {len(documents)}: check the model's weights and its input"
            raise ValueError(f"Expected finite logits. Got NaN or infinity {where}.")
        documents += top_classes(logits.softmax(1), cumulative=cumulative)
    return documents


def read(path: Path | str) -> dict[str, list[int]]:
    """Read documents from ``.json`` or, by gzip, ``.json.gz``: image -> ranked classes, in its order. FileNotFoundError
    if there is no such file, ValueError if it is damaged or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Expected documents in {path}. Got no such file.")
    content = path.read_bytes()
    try:
        documents = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"Expected {path} to be a gzip file. Got a damaged or another one: {error}.") from error
    except ValueError as error:  # broken JSON, or bytes that are no text
        raise ValueError(f"Expected {path} to hold a JSON object. Got: {error}.") from error
    _check(documents, path)
    return documents


def write(path: Path, documents: Mapping[str, Sequence[int]]) -> None:
    """Write what :func:`read` reads, uncompressed, whole or not at all; ValueError as there."""
    _check(documents, path)
    write_bytes(path, json.dumps({image: list(document) for image, document in documents.items()}).encode())


def _check(documents: object, path: Path) -> None:
    if not isinstance(documents, Mapping):
        got = type(documents).__name__
        raise ValueError(f"Expected {path} to hold a JSON object from image to ranked classes. Got a {got}.")
    for image, document in documents.items():
        classes = document if isinstance(document, list | tuple) else [None]
        if not all(type(label) is int and label >= 0 for label in classes) or not 0 < len(classes) == len(set(classes)):
            expected = f"Expected every image of {path} with a list of one or more different class indices."
            raise ValueError(f"{expected} Got {str(document)[:60]} for {image!r}.")
