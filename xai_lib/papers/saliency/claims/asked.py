"""The sentences of the saliency paper that are put to the test, and the comparisons that decide them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from xai_lib import metrics, published
from xai_lib.papers.saliency.analysis.found import HowMany, families
from xai_lib.statistics import Claim, Decided, Estimate, compare_correlation, compare_differences, decide
from xai_lib.statistics.comparison import Comparison
from xai_lib.statistics.estimate import UNBOUNDED, estimate_of

OF_SHARE, OF_CORRELATION = (-0.5, 0.5), (-1.0, 1.0)  # ranges of a share less one half, and of a correlation
GAP, SLIGHTLY = 0.05, 0.1  # ours: of what a complete map sums to, and what "slightly" is at most
SENTENCES = published.sentences("saliency")  # by the first word of a claim's name


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
