"""Documents: the top classes of each image, ranked, as a network says them or as a file holds them.

A document is a list of different class indices, the most probable first. The file format is the CWOX authors': a JSON
object from image to document.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from xai_lib.files import atomically
from xai_lib.forward import logits_of, undisturbed


def top_classes(probabilities: Tensor, *, cumulative: float = 0.95, at_most: int | None = None) -> list[list[int]]:
    """The smallest number of classes, taken by falling probability, that together have more than ``cumulative``.

    (Whole-output paper §3.) Equal probabilities go by class number. Sums are taken in float64.

    Args:
        probabilities: float [B,C], every row of numbers in [0, 1] that sum to 1.
        cumulative: in [0, 1). A row whose sum is rounded to no more than this gives all its classes.
        at_most: the longest document, at least 1; None for no limit. The paper's evaluation has 5.

    Returns:
        B documents of 1 to C classes, the most probable first.

    Raises:
        TypeError: if ``probabilities`` is not a float tensor.
        ValueError: if it does not hold probabilities [B,C], or a setting is out of range.
    """
    _check_probabilities(probabilities)
    if not 0 <= cumulative < 1:
        raise ValueError(f"Expected cumulative in [0, 1). Got {cumulative!r}.")
    if at_most is not None and (type(at_most) is not int or at_most < 1):
        raise ValueError(f"Expected at_most as a whole number of at least 1, or None. Got {at_most!r}.")
    falling, order = probabilities.double().sort(dim=1, descending=True, stable=True)
    lengths = (1 + (falling.cumsum(1) <= cumulative).sum(1)).clamp(max=at_most or order.shape[1]).tolist()
    ranked = order[:, : max(lengths, default=0)].tolist()
    return [classes[:length] for classes, length in zip(ranked, lengths)]


def of_network(
    model: nn.Module, batches: Iterable[Tensor], *, cumulative: float = 0.95, at_most: int | None = None
) -> list[list[int]]:
    """The top classes that a network gives to each image, by its softmax in float32.

    Args:
        model: images [B,c,H,W] -> logits [B,C]; run in evaluation mode without gradients and left as it was.
        batches: normalised images, float [B,c,H,W], on the model's device.
        cumulative, at_most: see :func:`top_classes`.

    Returns:
        One document an image, in the order of the batches.

    Raises:
        TypeError: if a batch is not a float tensor.
        ValueError: if a batch is not [B,c,H,W], the model did not return [B,C], a logit is not finite, or a setting is
            out of range.
    """
    documents: list[list[int]] = []
    for x in batches:
        with undisturbed(model, x) as images, torch.autocast(x.device.type, enabled=False):
            logits = logits_of(model, images).float()
        if not logits.isfinite().all():
            raise ValueError(
                "Expected finite logits. Got NaN or infinity in the batch that begins with image "
                f"{len(documents)}: check the model's weights and its input."
            )
        documents += top_classes(logits.softmax(1), cumulative=cumulative, at_most=at_most)
    return documents


def informative(documents: Iterable[Sequence[int]]) -> list[list[int]]:
    """Those of two or more classes, in their order: a document of one class says nothing about confusion.

    Raises:
        TypeError: if ``documents`` is a mapping, as :func:`read` returns; pass its ``values()``.
    """
    if isinstance(documents, Mapping):
        raise TypeError("Expected documents, as lists of classes. Got a mapping: pass its values().")
    return [list(document) for document in documents if len(document) >= 2]


def read(path: Path | str) -> dict[str, list[int]]:
    """Read documents by image from a JSON object, ``.json`` or, compressed by gzip, ``.json.gz``.

    Returns:
        Image -> ranked classes, in the file's order.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged or holds something else; the message says what and where.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"Expected documents in {path}. Got no such file.")
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if _compressed(path) else content
        documents = json.loads(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"Expected {path} to be a gzip file. Got a damaged or another one: {error}.") from error
    except ValueError as error:  # broken JSON, or bytes that are no text
        raise ValueError(f"Expected {path} to hold a JSON object. Got: {error}.") from error
    if not isinstance(documents, dict):
        raise ValueError(
            f"Expected {path} to hold a JSON object from image to ranked classes. Got a {type(documents).__name__}."
        )
    for image, document in documents.items():
        _check_document(image, document, path)
    return documents


def write(path: Path | str, documents: Mapping[str, Sequence[int]]) -> None:
    """Write what :func:`read` reads, compressed where the name ends in ``.gz``; whole or not at all.

    The same documents give the same bytes.

    Raises:
        ValueError: if a document is not a list of different class indices.
    """
    path = Path(path)
    for image, document in documents.items():
        _check_document(image, document, path)
    content = json.dumps({image: list(document) for image, document in documents.items()}).encode()
    with atomically(path) as file:
        file.write(gzip.compress(content, mtime=0) if _compressed(path) else content)


def _compressed(path: Path) -> bool:
    return path.suffix == ".gz"


def _check_document(image: object, document: object, path: Path) -> None:
    classes = document if isinstance(document, list | tuple) else [None]
    if not all(type(label) is int and label >= 0 for label in classes) or not 0 < len(classes) == len(set(classes)):
        raise ValueError(
            f"Expected every image of {path} with a list of one or more different class indices. "
            f"Got {str(document)[:60]} for {image!r}."
        )


def _check_probabilities(probabilities: Tensor) -> None:
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
