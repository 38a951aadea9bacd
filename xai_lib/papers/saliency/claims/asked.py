"""The sentences of the saliency paper that are put to the test, in our words, and the comparisons that decide them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from xai_lib import metrics
from xai_lib.papers.saliency.analysis.found import HowMany, families
from xai_lib.statistics import Claim, Decided, Estimate, compare_correlation, compare_differences, decide
from xai_lib.statistics.comparison import Comparison
from xai_lib.statistics.estimate import UNBOUNDED, estimate_of

OF_SHARE, OF_CORRELATION = (-0.5, 0.5), (-1.0, 1.0)  # ranges of a share less one half, and of a correlation
GAP, SLIGHTLY = 0.05, 0.1  # ours: of what a complete map sums to, and what "slightly" is at most
_LESS_THAN_HALF = "agrees less than half (Spearman's ρ below 0.5) with their order by the five fidelity metrics"
_PAIRS = "differs {least} for fewer than half of the pairs of the nine methods (Holm over the pairs)."
_TIED = "with the probability of the true class, over images (rank correlation)."
_MORE_TIED = "is more closely tied to the probability of the true class (rank correlation) than"

# First word of a claim's name -> section, the paper's sentence, and the comparisons of it.
SENTENCES = {
    "ranges": ("3", "Their value ranges make maps of different families hard to compare.",
        "Gradient-based methods and class activation maps lie further apart in {metric} with the maps' own values than "
        "with their ranks, which give all maps one value range."),
    "complete": ("4 (1); 5.2", "Assumptions of fidelity metrics do not always hold: no method satisfies Completeness.",
        "{a} misses Completeness: its gap is above {GAP:.0%} on more than half of the images."),
    "monotone": ("4.1; 6", "That pixels of a higher value matter more, which Monotonicity assumes, is not realistic.",
        "{metric}, a correlation, of the nine methods is below one half."),
    "explains": ("4 (2); 5.3", "Robustness and complexity do not directly address explainability.",
        "On an image, the order of the nine methods by {metric} {_LESS_THAN_HALF}."),
    "localisation": ("4 (3); 6", "Localisation is not necessarily linked to explanation.",
        "On an image, the order of the nine methods by the share of the map in the object {_LESS_THAN_HALF}."),
    "sanity": ("4 (4)", "Fidelity entails sanity.",
        "On an image, methods with better fidelity change more when weights are made random (rank correlation)."),
    "gradients": ("5.2 (1)", "Gradient-based methods score badly under most fidelity metrics.",
        "Gradient-based methods score worse in {metric} than class activation maps."),
    "echoes": ("5.2", "Gradient-based methods fail the sanity check.",
        "Gradient-based maps change less than class activation maps do when weights are made random."),
    "cams": ("5.2 (2)", "Class activation maps, Fake-CAM among them, perform best over the fidelity metrics.",
        "Over the five fidelity metrics, {who} has a better mean rank than {other}."),
    "top": ("5.2", "Fake-CAM is among the top two under AI, AD and Monotonicity.",
        "Fake-CAM is among the top two of ten under {metric}: it beats at least eight of the nine methods."),
    "fooled": ("5.2 (3)", "AG and Insertion, and to a lesser extent Deletion, are not fooled by Fake-CAM.",
        "{metric} is not fooled: Fake-CAM scores worse than an informed method more often than better."),
    "extent": ("5.2 (3)", "AG and Insertion, and to a lesser extent Deletion, are not fooled by Fake-CAM.",
        "Fake-CAM scores better than an informed method more often under Deletion than under {metric}."),
    "regions": ("5.2", "Fidelity metrics favour maps that highlight large regions.",
        "On an image, methods with larger maps (of higher entropy) score better in {metric} (rank correlation)."),
    "probability": ("5.2 (4)", "Insertion and Deletion rise with the probability of the true class.",
        "{metric} of the nine methods rises " + _TIED),
    "pronounced": ("5.2", "Deletion follows the probability less than Insertion does.",
        "Insertion of the nine methods {_MORE_TIED} Deletion."),
    "follow": ("5.2", "AG of class activation maps rises, and AD falls, with the probability of the true class.",
        "{metric} of class activation maps is {better} where the probability is higher, " + _TIED.partition(", ")[2]),
    "apparent": ("5.2", "With other methods AG and AD follow the probability less than with class activation maps.",
        "{metric} of class activation maps {_MORE_TIED} that of the six other methods."),
    "discrimination": ("5.2 (5)", "Fidelity metrics do not tell methods apart in a way that matters.",
        "{metric} " + _PAIRS),
    "specific": ("6", "Saliency methods often lack sufficient class-specific information.",
        "{a} maps for the true and for the least probable class are alike: their rank correlation over pixels is above "
        "one half."),
    "truth": ("5.2", "Fidelity is best for the true class.",
        "{metric} is better for the true than the predicted class."),
    "slightly": ("5.2", "Fidelity is only slightly lower for the predicted class.",
        "{metric} is worse for the predicted class than for the true one by less than {SLIGHTLY:g}."),
    "least": ("5.2", "For the least probable class AI is higher, and AD, D, AG and I are lower, than for the true one.",
        "{metric} is {better} for the least probable class than for the true one."),
    "differentiation": ("5.3 (1)", "Robustness and complexity do not tell most methods apart.", "{metric} " + _PAIRS),
    "sensitive": ("5.3 (2)", "All methods are sensitive to transformations.",
        "Transformations change the fidelity of {a} by more than {b} (absolute change, over five metrics)."),
    "moves": ("5.3 (2)", "Gradient-based methods are the most sensitive to transformations.",
        "Under {what}, the fidelity of gradient-based methods changes more than that of class activation maps "
        "(absolute change, over five metrics)."),
    "baseline": ("5.3", "Fake-CAM's AI rises under Rotation, and its AD̄ falls under Resize.",
        "{metric} of Fake-CAM is higher under {a} than untouched."),
    "changes": ("5.3", "Insertion falls and D̄ rises under transformations, less so under Crop.",
        "{metric} of the nine methods falls under the four transformations."),
    "crop": ("5.3", "Insertion falls and D̄ rises under transformations, less so under Crop.",
        "{metric} of the nine methods falls less under Crop than under the other three."),
    "linked": ("5.3", "These changes are linked to the change of the probability.",
        "{metric} of the nine methods changes with the probability of the true class, over images."),
    "stable": ("5.3 (3)", "AG is the most stable of the fidelity metrics.",
        "Under transformations AG changes less than {what} (absolute change, nine methods)."),
    "share": ("5.3 (3)", "AG is the most stable of the fidelity metrics.",
        "Under transformations AG changes by a smaller share of itself than {what} (nine methods)."),
}  # fmt: skip


def title(metric: str) -> str:
    """A metric as the texts of claims have it."""
    long = {"insertion": "Insertion", "deletion": "Deletion", "effective-complexity": "EC"}
    return long.get(metric) or (metrics.about(metric).title if metric in metrics.names() else metric)


def ask(dataset: str, name: str, metric: str, better: str, a: str, b: str, **words: str) -> Claim:
    """A claim of the paper; the first word of its name says of which sentence it is a comparison."""
    section, sentence, text = SENTENCES[name.partition("-")[0]]
    about = metrics.about(metric) if metric in metrics.names() else None
    known = {"range": about.range, "relevant": about.relevant} if about else {}
    least = f"by more than {about.relevant:g}" if about and about.relevant else "at all"
    given = {"metric": title(metric), "better": better, "a": a, "b": b, "least": least, **globals(), **words}
    shared = {"paper": "saliency", "dataset": dataset, "between": "method", "sentence": sentence}
    said = f"{text.format(**given)} {words.get('note', '')}".strip()
    return Claim(f"saliency-{name}", section, said, metric, better, a, b, **shared, **known)


def of_families(claim: Claim, rows: pd.DataFrame, groups: Mapping[str, Sequence[str]]) -> Decided:
    """The claim's two sides as means over groups of methods, image by image."""
    sides = {name: groups[name] for name in (claim.a, claim.b)}
    return decide(claim, families(rows, claim.metric, sides), unit="image")


def of_images(claim: Claim, values: np.ndarray, range: tuple[float, float] = UNBOUNDED) -> Decided:
    """A claim decided by the mean of one value an image, [n] within a range, against zero."""
    compared = compare_differences(np.asarray(values), a=claim.a, b=claim.b, unit="image")
    return Decided(claim, replace(compared, estimate=estimate_of(values, range=range)))


def of_correlation(claim: Claim, x: pd.Series, y: pd.Series) -> Decided:
    """A claim that two scores rise together over images."""
    both = pd.concat([x, y], axis=1).dropna().to_numpy().T
    return Decided(claim, compare_correlation(*both, a=claim.a, b=claim.b))


def of_count(claim: Claim, many: HowMany, n_images: int) -> Decided:
    """A claim about how many of several comparisons come out one way."""
    test = "t over images, Holm over what is counted"
    return Decided(claim, Comparison(claim.a, claim.b, many, "image", test, n_images=n_images))


def of_draws(claim: Claim, value: float, draws: np.ndarray, n_images: int) -> Decided:
    """A claim about a statistic and its bootstrap over images, whose spread is the error of a t interval."""
    estimate = Estimate(float(value), image_error=float(np.nanstd(draws)), n_images=n_images)
    test = "t, bootstrapped error over images"
    return Decided(claim, Comparison(claim.a, claim.b, estimate, "image", test, n_images=n_images))
