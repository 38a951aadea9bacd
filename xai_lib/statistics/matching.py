"""Whether two networks are alike enough in accuracy and confidence for their explanations to be compared.

A pixel-flipping curve starts at the network's confidence, so a less confident network scores "better" by that
alone; and an explanation of a wrong prediction is another thing than one of a right prediction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# One percentage point: the standard error of an accuracy of 0.8 on 2,000 images is 0.9 points, so a smaller gap
# could not be told from the draw of the test images.
ACCURACY_TOLERANCE = 0.01
# 0.02 of probability: a flipping curve that scales with confidence then moves by less than 0.02, a fifth of the gap
# of 0.10 between CE and SCL on CIFAR-10 (contrastive paper, Table 4).
CONFIDENCE_TOLERANCE = 0.02
_ROUNDING = 1e-9  # 0.83 - 0.82 is a little above 0.01 in floating point

Fraction = float | Sequence[float]


@dataclass(frozen=True)
class Matched:
    """Differences (a minus b) in accuracy and mean confidence, as fractions, and whether each is small enough."""

    accuracy_difference: float
    confidence_difference: float
    accuracy: bool
    confidence: bool


def matched(accuracy_a: Fraction, accuracy_b: Fraction, confidence_a: Fraction, confidence_b: Fraction) -> Matched:
    """Hold two conditions' test accuracy and mean confidence, that of the highest probability, side by side.

    All are fractions, one number or one a seed (then averaged); ValueError on NaN or a number outside [0, 1].

    Example:
        >>> alike = matched(0.81, 0.80, 0.95, 0.90)
        >>> alike.accuracy, alike.confidence
        (True, False)
    """
    accuracy = _fraction("accuracy", accuracy_a) - _fraction("accuracy", accuracy_b)
    confidence = _fraction("confidence", confidence_a) - _fraction("confidence", confidence_b)
    alike = abs(accuracy) <= ACCURACY_TOLERANCE + _ROUNDING, abs(confidence) <= CONFIDENCE_TOLERANCE + _ROUNDING
    return Matched(accuracy, confidence, *alike)


def _fraction(name: str, values: Fraction) -> float:
    values = np.atleast_1d(np.asarray(values, dtype=float))
    if not (len(values) and ((values >= 0) & (values <= 1)).all()):
        raise ValueError(f"Expected {name} as fractions in [0, 1]. Got {values.tolist()}.")
    return float(values.mean())
