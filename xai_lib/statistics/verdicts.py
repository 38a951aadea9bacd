"""Does a paper's claim hold here? One rule, used by every part of the book."""

import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Literal

import pandas as pd

from xai_lib.statistics.comparison import ADJUSTMENTS, TRAINED_APART, Comparison, holm, holm_levels, paired_comparison
from xai_lib.statistics.estimate import LEVEL, UNBOUNDED, Estimate, power, units_needed
from xai_lib.statistics.matching import ACCURACY_TOLERANCE, CONFIDENCE_TOLERANCE, Matched

RULE = (
    "A claim holds if the interval of the difference lies wholly on the claimed side of zero; it reverses if the "
    "interval lies wholly on the other side; otherwise it is undecided. One interval decides: its level is "
    f"{100 * LEVEL:.0f} % corrected by Holm's method for the number of claims in the table, and the p-value is one "
    "minus the level at which it first touches zero. A difference that is certain but smaller than the smallest one "
    "that matters is called negligible. A comparison between different networks needs accuracy (within "
    f"{100 * ACCURACY_TOLERANCE:.0f} percentage point) and mean confidence (within {CONFIDENCE_TOLERANCE}) to be "
    "matched or adjusted for: without that the interval is shown and the claim is undecided, whatever it says."
)

NOT_TESTED = "not tested"  # instead of a verdict, of a claim that nothing tests here

COLUMNS = (
    *("claim", "paper", "ours", "sentence", "section", "text", "dataset", "metric", "method", "better", "a", "b"),
    *("difference", "low", "high", "level", "test", "p_value", "p_holm", "relevant", "power", "needed"),
    *("unit", "n_seeds", "n_images", "n_classes", "n_undefined"),
    *("accuracy_difference", "confidence_difference", "adjusted_for", "scope", "verdict", "reason"),
)


@dataclass(frozen=True)
class Claim:
    """A statement that one comparison can decide: "``a`` is better than ``b``"."""

    id: str
    section: str  # of the paper
    text: str  # our own sentence
    metric: str
    better: Literal["higher", "lower"]  # of `a`, as claimed: where lower is better, `a` scores lower
    a: str
    b: str
    _: KW_ONLY
    paper: str
    dataset: str  # the images that the verdict is about
    method: str | None = None  # None where methods are what is compared
    between: str = "loss"  # the column in which `a` and `b` differ
    ours: bool = False  # whether it is a question of ours, not a claim of the paper
    sentence: str = ""  # the sentence of the paper that it is one comparison of; "" for a claim by itself
    range: tuple[float, float] = UNBOUNDED  # of the metric
    relevant: float = 0.0  # the smallest difference that matters, in the metric's units

    def __post_init__(self) -> None:
        if self.better not in ("higher", "lower"):
            raise ValueError(f"Expected better to be 'higher' or 'lower'. Got {self.better!r} in claim {self.id!r}.")
        if self.a == self.b:
            raise ValueError(f"Expected two conditions. Got {self.a!r} twice in claim {self.id!r}.")


@dataclass(frozen=True)
class Decided:
    """A claim, the comparison that decides it, and how alike two networks are, for claims across losses or models.

    ValueError where the comparison is of other conditions, or a claim across losses is compared over images.
    """

    claim: Claim
    comparison: Comparison
    matched: Matched | None = None

    def __post_init__(self) -> None:
        claim, comparison = self.claim, self.comparison
        if (comparison.a, comparison.b) != (claim.a, claim.b):
            expected = f"Expected the comparison of {claim.a!r} with {claim.b!r} for claim {claim.id!r}."
            raise ValueError(f"{expected} Got {comparison.a!r} with {comparison.b!r}.")
        if claim.between == "loss" and comparison.unit != "seed":
            raise ValueError(f"Expected unit 'seed' for claim {claim.id!r} across losses. Got {comparison.unit!r}.")


def decide(
    claim: Claim, scores: pd.DataFrame, *, unit: str = "seed", adjusted_for: Collection[str] = (),
    matched: Matched | None = None,
) -> Decided:  # fmt: skip
    """The claim with :func:`xai_lib.statistics.paired_comparison` of its fields."""
    fields = {name: getattr(claim, name) for name in ("metric", "method", "a", "b", "between", "range")}
    return Decided(claim, paired_comparison(scores, **fields, unit=unit, adjusted_for=adjusted_for), matched)


def verdict_table(decided: Iterable[Decided]) -> pd.DataFrame:
    """Apply :data:`RULE`: one row a claim, with Holm's correction over the whole table.

    The columns are :data:`COLUMNS`, most of them fields of :class:`Claim` and :class:`Comparison`. ``difference``,
    ``low`` and ``high`` point in the claimed direction: above 0 supports the claim; the interval is of the ``level``
    that decides. ``verdict`` is "holds", "reverses" or "undecided"; ``reason``, which the book prints, is the verdict,
    "…, negligible", or "undecided (…)" with what is missing; ``scope`` is what the verdict speaks about.
    ``accuracy_difference`` and ``confidence_difference`` are plain ``a`` minus ``b``; what is undecided has ``power``
    and ``needed``, see :func:`power`. ValueError where two claims share an id.

    Example:
        >>> claim = Claim("rise", "5", "RISE is better.", "m", "higher", "rise", "lime", paper="p", dataset="d",
        ...               between="method")
        >>> scores = pd.DataFrame({"seed": 0, "index": [*range(150)] * 2, "metric": "m"})
        >>> scores["method"] = ["lime"] * 150 + ["rise"] * 150
        >>> scores["value"] = scores["index"] % 7 * (scores["method"] == "rise") + 1.0
        >>> verdict_table([decide(claim, scores, unit="image")])["reason"].item()
        'holds'
    """
    decided = list(decided)
    ids, p_values = [one.claim.id for one in decided], [one.comparison.p_value for one in decided]
    if len(set(ids)) != len(ids):
        raise ValueError(f"Expected each claim once. Got {ids}.")
    family = zip(decided, holm_levels(p_values).tolist(), holm(p_values).tolist())
    return pd.DataFrame([_row(*one) for one in family], columns=COLUMNS)


def sentences(table: pd.DataFrame) -> pd.DataFrame:
    """The paper's sentences and what became of them: a sentence that was split into comparisons counts once.

    Of rows of :func:`verdict_table`, those of ours left out: one row a sentence, in the order of the table, with
    section, text (the sentence, or a single claim's), comparisons, holds, reverses, and verdict: "holds" or "reverses"
    where every comparison does, "holds in part" or "reverses in part" where the others are undecided, "mixed" where
    some hold and some reverse, "not tested" where none was, else "undecided".
    """
    of_paper, rows = table[~table["ours"]], []
    keys = of_paper["sentence"].where(of_paper["sentence"] != "", of_paper["claim"])
    for _, group in of_paper.groupby(keys, sort=False):
        n, first = Counter(group["verdict"]), group.iloc[0]
        said = first["sentence"] or first["text"]
        rows.append((first["section"], said, len(group), n["holds"], n["reverses"], _together(n)))
    return pd.DataFrame(rows, columns=["section", "text", "comparisons", "holds", "reverses", "verdict"])


def untested(claims: Iterable[Claim]) -> pd.DataFrame:
    """Rows like those of :func:`verdict_table` of claims that nothing tests here: their texts say why."""
    rows = verdict_table(Decided(claim, nothing(claim)) for claim in claims)
    return rows.assign(verdict=NOT_TESTED, reason=NOT_TESTED, scope="nothing")


def nothing(claim: Claim) -> Comparison:
    """A comparison of a claim's two sides without a value."""
    adjusted = frozenset({"confidence"})  # accuracy is what is missing, where networks do not match
    return Comparison(claim.a, claim.b, Estimate(math.nan), unit="seed", test="none", adjusted_for=adjusted)


def _together(n: Counter[str]) -> str:
    if n["holds"] and n["reverses"]:
        return "mixed"
    for decided in ("holds", "reverses"):
        if n[decided]:
            return decided if n[decided] == n.total() else f"{decided} in part"
    return NOT_TESTED if n[NOT_TESTED] == n.total() else "undecided"


def _reason(decided: Decided, difference: float, low: float, high: float) -> str:
    claim, comparison, match = decided.claim, decided.comparison, decided.matched
    if comparison.unit == "seed" and comparison.n_seeds == 1:
        return "undecided (one training)"
    left = sorted(ADJUSTMENTS - comparison.adjusted_for) if claim.between in TRAINED_APART else []
    if unmatched := [name for name in left if match is None or not getattr(match, name)]:
        return f"undecided ({' and '.join(unmatched)} not matched)"
    if not comparison.trusted:
        return "undecided (few images, skewed)"
    if low > 0 or high < 0:
        return ("holds" if low > 0 else "reverses") + ", negligible" * (abs(difference) < claim.relevant)
    if -claim.relevant < low and high < claim.relevant:
        return "undecided (no difference that matters)"
    return "undecided (interval includes zero)" if low <= 0 <= high else "undecided (no interval)"


def _scope(comparison: Comparison) -> str:
    """What a verdict speaks about: what was sampled, and what was not."""
    if comparison.unit == "seed":
        return f"trainings like these {comparison.n_seeds}"
    networks = "this network" if comparison.n_seeds <= 1 else f"these {comparison.n_seeds} networks"
    return f"{networks}, {'new images' if comparison.unit == 'image' else f'these {comparison.n_classes} classes'}"


def _row(decided: Decided, level: float, p_holm: float) -> dict[str, object]:
    """A claim's row, by its interval of a level."""
    claim, comparison, match = decided.claim, decided.comparison, decided.matched
    sign = 1 if claim.better == "higher" else -1  # above zero then supports the claim
    low, high = sorted(sign * end for end in comparison.estimate.interval(level))
    difference = sign * comparison.difference
    reason = _reason(decided, difference, low, high)
    found = {"claim": claim.id, "verdict": reason.split()[0].rstrip(","), "reason": reason}
    found |= {"difference": difference, "low": low, "high": high, "level": level}
    found |= {"p_value": comparison.p_value, "p_holm": p_holm, "scope": _scope(comparison)}
    found["adjusted_for"] = ", ".join(sorted(comparison.adjusted_for))
    if found["verdict"] == "undecided":
        matters = max(claim.relevant, abs(comparison.difference))
        of_design = comparison.estimate, comparison.unit, matters, level
        found |= {"power": power(*of_design), "needed": units_needed(*of_design)}
    known = vars(comparison) | vars(claim) | (vars(match) if match else {}) | found
    return {name: known.get(name, math.nan) for name in COLUMNS}
