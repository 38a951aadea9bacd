"""Does a paper's claim hold here? One rule, used by every part of the book."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

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

COLUMNS = (
    *("claim", "paper", "section", "text", "dataset", "metric", "method", "better", "a", "b"),
    *("difference", "low", "high", "interval_over", "test", "p_value", "p_holm", "d_images", "d_seeds", "superiority"),
    *("unit", "n_seeds", "n_images", "n_classes", "n_undefined", "accuracy_difference", "confidence_difference"),
    *("adjusted_for", "verdict", "reason"),
)
_TRAINED_APART = ("loss", "model")  # conditions that are different networks


@dataclass(frozen=True)
class Claim:
    """A statement of a paper that one comparison can decide: "``a`` is better than ``b``".

    ``text`` is our own sentence. ``better`` is the metric's direction, so where lower is better the claim is that
    ``a`` scores lower. ``between`` is the column in which ``a`` and ``b`` differ; ``method`` is None where that is
    "method". ``dataset`` names the images the verdict is about. ``functools.partial`` sets what the claims of a paper
    share.
    """

    id: str
    section: str
    text: str
    metric: str
    better: Literal["higher", "lower"]
    a: str
    b: str
    _: KW_ONLY
    paper: str
    dataset: str
    method: str | None = None
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
class Decided:
    """A claim, the comparison that decides it, and how alike two networks are, for claims across losses or models.

    ValueError where the comparison is of other conditions, or a claim across losses is compared over images (two
    networks say nothing about two losses).
    """

    claim: Claim
    comparison: Comparison
    matched: Matched | None = None

    def __post_init__(self) -> None:
        """Refuse a comparison that cannot decide the claim."""
        claim, comparison = self.claim, self.comparison
        if (comparison.a, comparison.b) != (claim.a, claim.b):
            raise ValueError(
                f"Expected the comparison of {claim.a!r} with {claim.b!r} for claim {claim.id!r}. "
                f"Got {comparison.a!r} with {comparison.b!r}."
            )
        if claim.between == "loss" and comparison.unit != "seed":
            raise ValueError(f"Expected unit 'seed' for claim {claim.id!r} across losses. Got {comparison.unit!r}.")


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


def decide(
    claim: Claim, scores: pd.DataFrame, *, unit: str = "seed", adjusted_for: Collection[str] = (),
    matched: Matched | None = None,
) -> Decided:  # fmt: skip
    """The claim with :func:`xai_lib.statistics.paired_comparison` of its fields."""
    fields = {name: getattr(claim, name) for name in ("metric", "method", "a", "b", "between")}
    return Decided(claim, paired_comparison(scores, **fields, unit=unit, adjusted_for=adjusted_for), matched)


def decide_by(compare: Callable[..., Comparison], claim: Claim, *values: Any, **options: Any) -> Decided:
    """The claim with another comparison: ``compare(*values, a=claim.a, b=claim.b, **options)``."""
    return Decided(claim, compare(*values, a=claim.a, b=claim.b, **options))


def verdict(decided: Decided, *, p_holm: float | None = None) -> Verdict:
    """Apply :data:`RULE` to one claim; ``p_holm`` is its corrected p-value, None for a family of this one claim.

    Example:
        >>> claim = Claim("rise", "5", "RISE is better.", "m", "higher", "rise", "lime", paper="p", dataset="d",
        ...               between="method")
        >>> compared = Comparison("rise", "lime", 0.3, 0.1, 0.5, "images", "image", "Wilcoxon", 0.01, n_images=50)
        >>> verdict(Decided(claim, compared)).reason
        'holds'
    """
    claim, comparison = decided.claim, decided.comparison
    p = comparison.p_value if p_holm is None else p_holm
    low, high = sorted((claim.sign * comparison.low, claim.sign * comparison.high))
    reason = _reason(decided, low, high, p)
    difference = claim.sign * comparison.difference
    return Verdict(claim.id, reason.split()[0], reason, difference, low, high, p, comparison.n)


def verdict_table(decided: Iterable[Decided]) -> pd.DataFrame:
    """The book's rows: one a claim, with Holm's correction over the whole table.

    The columns are :data:`COLUMNS`, most of them fields of :class:`Claim`, :class:`Comparison` and :class:`Verdict`.
    Differences and effect sizes point in the claimed direction; ``accuracy_difference`` and ``confidence_difference``
    are plain ``a`` minus ``b``. ValueError where two claims share an id.
    """
    decided = list(decided)
    ids = [one.claim.id for one in decided]
    if len(set(ids)) != len(ids):
        raise ValueError(f"Expected each claim once. Got {ids}.")
    corrected = holm([one.comparison.p_value for one in decided])
    return pd.DataFrame([_row(one, verdict(one, p_holm=float(p_holm))) for one, p_holm in zip(decided, corrected)])


def _reason(decided: Decided, low: float, high: float, p: float) -> str:
    comparison = decided.comparison
    if comparison.unit == "seed" and comparison.n_seeds < MIN_SEEDS:
        return "undecided (seeds)"
    unmatched = _unmatched(decided)
    if unmatched:
        return f"undecided ({' and '.join(unmatched)} not matched)"
    if not (low > 0 or high < 0):
        return "undecided (interval includes zero)" if low <= 0 <= high else "undecided (no interval)"
    if not p < SIGNIFICANCE:
        return "undecided (p-value)"
    return "holds" if low > 0 else "reverses"


def _unmatched(decided: Decided) -> list[str]:
    if decided.claim.between not in _TRAINED_APART:
        return []
    left = [name for name in ("accuracy", "confidence") if name not in decided.comparison.adjusted_for]
    return [name for name in left if decided.matched is None or not getattr(decided.matched, name)]


def _row(decided: Decided, found: Verdict) -> dict[str, object]:
    claim, comparison, match = decided.claim, decided.comparison, decided.matched
    known = vars(comparison) | vars(claim) | vars(found)  # the verdict's difference and interval, not the comparison's
    known["d_images"], known["d_seeds"] = claim.sign * comparison.d_images, claim.sign * comparison.d_seeds
    known["superiority"] = comparison.superiority if claim.sign > 0 else 1 - comparison.superiority
    known["adjusted_for"] = ", ".join(sorted(comparison.adjusted_for))
    for name in ("accuracy_difference", "confidence_difference"):
        known[name] = getattr(match, name) if match else float("nan")
    return {name: known[name] for name in COLUMNS}
