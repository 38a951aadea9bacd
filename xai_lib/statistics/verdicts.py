"""Does a paper's claim hold here? One rule, used by every part of the book."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from xai_lib.statistics.comparison import MIN_SEEDS, SIGNIFICANCE, Comparison, holm, paired_comparison
from xai_lib.statistics.intervals import LEVEL
from xai_lib.statistics.matching import ACCURACY_TOLERANCE, CONFIDENCE_TOLERANCE, Matched

RULE = (
    f"A claim holds if the {100 * LEVEL:.0f} % interval of the difference lies wholly on the claimed side of zero and "
    f"its p-value, corrected by Holm's method over all claims of the table, is below {SIGNIFICANCE}; it reverses if "
    "the same is true of the other side; otherwise it is undecided. "
    f"A comparison over seeds needs at least {MIN_SEEDS} of them, and one between different networks needs accuracy "
    f"(within {100 * ACCURACY_TOLERANCE:.0f} percentage point) and mean confidence (within {CONFIDENCE_TOLERANCE}) to "
    "be matched or adjusted for: without that the interval is shown and the claim is undecided, whatever it says."
)

_TRAINED_APART = ("loss", "model")  # conditions that are different networks


@dataclass(frozen=True)
class Claim:
    """A statement of a paper that one comparison can decide: "``a`` is better than ``b``".

    ``text`` is our own sentence. ``better`` is the metric's direction, so where lower is better the claim is that
    ``a`` scores lower. ``between`` is the column in which ``a`` and ``b`` differ; ``method`` is None where that is
    "method". ``dataset`` names the images the verdict is about.
    """

    id: str
    paper: str
    section: str
    text: str
    metric: str
    method: str | None
    better: Literal["higher", "lower"]
    a: str
    b: str
    dataset: str
    between: str = "loss"

    def __post_init__(self) -> None:
        """Refuse a direction that is neither, and a claim that compares a thing with itself."""
        if self.better not in ("higher", "lower"):
            raise ValueError(f"Expected better to be 'higher' or 'lower'. Got {self.better!r} in claim {self.id!r}.")
        if self.a == self.b:
            raise ValueError(f"Expected two conditions. Got {self.a!r} twice in claim {self.id!r}.")

    @property
    def sign(self) -> int:
        """What ``a`` minus ``b`` is multiplied by so that above zero supports the claim."""
        return 1 if self.better == "higher" else -1


@dataclass(frozen=True)
class Verdict:
    """A claim's verdict. ``difference``, ``low`` and ``high`` point in the claimed direction: above 0 supports it.

    ``reason`` is what the book prints: "holds", "reverses", or "undecided (...)" with what is missing.
    ``n`` counts units of replication: seeds, images or classes.
    """

    claim: str
    verdict: Literal["holds", "reverses", "undecided"]
    reason: str
    difference: float
    low: float
    high: float
    p_holm: float
    n: int


def compare_claim(
    claim: Claim, scores: pd.DataFrame, *, unit: str = "seed", adjusted_for: Collection[str] = ()
) -> Comparison:
    """The comparison that a claim asks for: :func:`xai_lib.statistics.paired_comparison` with its fields."""
    return paired_comparison(
        scores,
        metric=claim.metric,
        method=claim.method,
        a=claim.a,
        b=claim.b,
        between=claim.between,
        unit=unit,
        adjusted_for=adjusted_for,
    )


def verdict(
    claim: Claim, comparison: Comparison, *, p_holm: float | None = None, matched: Matched | None = None
) -> Verdict:
    """Apply :data:`RULE` to one claim.

    Args:
        claim: what is claimed.
        comparison: ``claim.a`` minus ``claim.b``.
        p_holm: the corrected p-value; None for a family of this one claim.
        matched: accuracy and confidence of the two networks, for claims across losses or models; None is "not known".

    Raises:
        ValueError: where the comparison is of other conditions, or a claim across losses is compared over images
            (two networks say nothing about two losses).
    """
    if (comparison.a, comparison.b) != (claim.a, claim.b):
        raise ValueError(
            f"Expected the comparison of {claim.a!r} with {claim.b!r} for claim {claim.id!r}. "
            f"Got {comparison.a!r} with {comparison.b!r}."
        )
    if claim.between == "loss" and comparison.unit != "seed":
        raise ValueError(f"Expected unit 'seed' for claim {claim.id!r} across losses. Got {comparison.unit!r}.")
    p = comparison.p_value if p_holm is None else p_holm
    bounds = sorted((claim.sign * comparison.low, claim.sign * comparison.high))
    reason = _reason(claim, comparison, bounds, p, matched)
    return Verdict(
        claim=claim.id,
        verdict=reason.split()[0],
        reason=reason,
        difference=claim.sign * comparison.difference,
        low=bounds[0],
        high=bounds[1],
        p_holm=p,
        n=comparison.n,
    )


def verdict_table(
    claims: Sequence[Claim], comparisons: Mapping[str, Comparison], matches: Mapping[str, Matched] | None = None
) -> pd.DataFrame:
    """The book's rows: one a claim, with Holm's correction over the whole table.

    Args:
        claims: the family, in the order of the rows.
        comparisons: claim id -> comparison.
        matches: claim id -> accuracy and confidence, for claims across losses or models.

    Returns:
        Columns ``claim, paper, section, text, dataset, metric, method, better, a, b, difference, low, high,
        interval_over, test, p_value, p_holm, d_images, d_seeds, superiority, unit, n_seeds, n_images, n_classes,
        n_undefined, accuracy_difference, confidence_difference, adjusted_for, verdict, reason``. Differences and effect
        sizes point in the claimed direction; ``accuracy_difference`` and ``confidence_difference`` are plain ``a``
        minus ``b``.

    Raises:
        ValueError: where two claims share an id or a claim has no comparison.
    """
    ids = [claim.id for claim in claims]
    if len(set(ids)) != len(ids):
        raise ValueError(f"Expected each claim once. Got {ids}.")
    missing = [name for name in ids if name not in comparisons]
    if missing:
        raise ValueError(f"Expected a comparison for every claim. Got none for {missing}.")
    corrected = holm([comparisons[name].p_value for name in ids])
    rows = []
    for claim, p_holm in zip(claims, corrected):
        match = (matches or {}).get(claim.id)
        decided = verdict(claim, comparisons[claim.id], p_holm=float(p_holm), matched=match)
        rows.append(_row(claim, comparisons[claim.id], decided, match))
    return pd.DataFrame(rows)


def _reason(claim: Claim, comparison: Comparison, bounds: list[float], p: float, matched: Matched | None) -> str:
    if comparison.unit == "seed" and comparison.n_seeds < MIN_SEEDS:
        return "undecided (seeds)"
    unmatched = _unmatched(claim, comparison, matched)
    if unmatched:
        return f"undecided ({' and '.join(unmatched)} not matched)"
    low, high = bounds
    if not (low > 0 or high < 0):
        return "undecided (interval includes zero)" if low <= 0 <= high else "undecided (no interval)"
    if not p < SIGNIFICANCE:
        return "undecided (p-value)"
    return "holds" if low > 0 else "reverses"


def _unmatched(claim: Claim, comparison: Comparison, matched: Matched | None) -> list[str]:
    if claim.between not in _TRAINED_APART:
        return []
    return [
        name
        for name in ("accuracy", "confidence")
        if name not in comparison.adjusted_for and not (matched is not None and getattr(matched, name))
    ]


def _row(claim: Claim, comparison: Comparison, decided: Verdict, match: Matched | None) -> dict[str, object]:
    named = ("paper", "section", "text", "dataset", "metric", "method", "better", "a", "b")
    return {
        "claim": claim.id,
        **{name: getattr(claim, name) for name in named},
        "difference": decided.difference,
        "low": decided.low,
        "high": decided.high,
        "interval_over": comparison.interval_over,
        "test": comparison.test,
        "p_value": comparison.p_value,
        "p_holm": decided.p_holm,
        "d_images": claim.sign * comparison.d_images,
        "d_seeds": claim.sign * comparison.d_seeds,
        "superiority": comparison.superiority if claim.sign > 0 else 1 - comparison.superiority,
        "unit": comparison.unit,
        "n_seeds": comparison.n_seeds,
        "n_images": comparison.n_images,
        "n_classes": comparison.n_classes,
        "n_undefined": comparison.n_undefined,
        "accuracy_difference": match.accuracy_difference if match else float("nan"),
        "confidence_difference": match.confidence_difference if match else float("nan"),
        "adjusted_for": ", ".join(sorted(comparison.adjusted_for)),
        "verdict": decided.verdict,
        "reason": decided.reason,
    }
