"""The takeaways of the saliency paper's §§3 to 5 and the claims of its §5.2 and §5.3, under both readings of its maps.

All are about these networks on new images: the paper, too, has one network. What its §5.2 says about single pictures
("gradient-based maps provide the least information") is left to the eye: no metric of the paper decides it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pandas as pd

from xai_lib import metrics, published, statistics
from xai_lib.explainers.registry import about
from xai_lib.page.names import TRANSFORM_NAMES
from xai_lib.page.verdicts import counted
from xai_lib.papers.saliency.analysis import found
from xai_lib.papers.saliency.analysis.found import FAMILIES, Found, HowMany, alike, by_group, by_image, families
from xai_lib.papers.saliency.analysis.scores import directions
from xai_lib.papers.saliency.method import TARGETS
from xai_lib.papers.saliency.method.lineup import FIDELITY, INFORMED, READINGS, TABLE_1, TABLE_3
from xai_lib.run.settings import Study
from xai_lib.statistics import Claim, Decided, Estimate, compare_correlation, compare_differences, decide
from xai_lib.statistics.agreement import spearman_draws
from xai_lib.statistics.comparison import Comparison
from xai_lib.statistics.cube import resampled_means
from xai_lib.statistics.estimate import UNBOUNDED, estimate_of

OF_SHARE, OF_CORRELATION = (-0.5, 0.5), (-1.0, 1.0)  # ranges of a share less one half, and of a correlation
GAP, SLIGHTLY = 0.05, 0.1  # ours: of what a complete map sums to, and what "slightly" is at most
SENTENCES = published.sentences("saliency")  # by the first word of a claim's name
_HALF = 0.5
_KEYS = ["seed", "index", "method", "metric"]
_TOOLS = "monotonicity-quantus"  # what is printed as Monotonicity; "monotonicity" is the formula in the text
_SHOWN = {"gradient": "the family of gradient-based methods", "cam": "the family of class activation maps"}
_SHOWN |= {"fake-cam": "Fake-CAM", "occlusion": "the occlusion-based family", "learning": "IBA"}
Ask = Callable[..., Claim]  # (name, metric, better, a, b, **words of the text) -> claim


@cache
def verdicts(study: Study, reading: str = READINGS[0]) -> pd.DataFrame:
    """A verdict for each claim, as :func:`statistics.verdict_table`, with Holm's correction over all of them."""
    here, asked = found.found(study, reading), partial(claim, study.run.label)
    return statistics.verdict_table(one for part in (concepts, fidelity, transformed) for one in part(asked, here))


def sentences(study: Study) -> pd.DataFrame:
    """The paper's sentences, as :func:`statistics.sentences`, with a verdict and a count of each for either reading.

    Columns section, text, comparisons, then verdict, holds, reverses under the default reading and, with the suffix
    ``_signed``, under the other.
    """
    first, second = (statistics.sentences(verdicts(study, reading)) for reading in READINGS)
    return first.join(second[["verdict", "holds", "reverses"]], rsuffix=f"_{READINGS[1]}")


def finding(study: Study) -> str:
    """What the verdicts come to, in sentences: how many of the paper's hold, and which the reading turns round."""
    table, other = sentences(study), f"verdict_{READINGS[1]}"
    said = (
        f"Of the paper's {len(table)} sentences {counted(table['verdict'])} on {study.run.label}, with maps scaled as "
        "the code does that the paper cites."
    )
    turned = table[table["verdict"] != table[other]]
    if turned.empty:
        return f"{said} With maps scaled as its text says, every sentence has the same verdict."
    changes = "; ".join(f"“{row.text}” {row.verdict}, then {getattr(row, other)}" for row in turned.itertuples())
    return f"{said} With maps scaled as its text says, the verdict changes for {len(turned)}: {changes}."


def concepts(ask: Ask, here: Found) -> Iterator[Decided]:
    """§§3 and 4."""
    sides = {name: FAMILIES[name] for name in ("gradient", "cam")}
    for metric in ("average-increase", "average-drop", "average-gain"):
        gaps = []
        for rows in (here.plain[here.plain["index"].isin(here.as_ranks["index"])], here.as_ranks):
            wide = by_group(rows, metric, sides)
            gap = wide["gradient"] - wide["cam"]
            gaps.append(gap * np.sign(gap.mean()))
        yield of_images(ask(f"ranges-{metric}", metric, "higher", "values", "ranks"), (gaps[0] - gaps[1]).dropna())
    complete = here.plain[here.plain["metric"] == "completeness"].dropna().groupby(["method", "index"])["value"].mean()
    for method in (name for name in INFORMED if name in complete):  # which has something to sum up
        asked = ask(f"complete-{method}", "completeness", "higher", about(method).title, "half")
        yield of_images(asked, (complete[method] > GAP).to_numpy() - _HALF, OF_SHARE)
    for metric in ("monotonicity", _TOOLS):
        asked = ask(f"monotone-{metric}", metric, "higher", "half", "informed")
        yield of_images(asked, (_HALF - by_image(here.plain, metric, INFORMED)).dropna(), (-_HALF, 3 * _HALF))
    fidelity = directions(FIDELITY)
    for name, metric in (*(("explains", one) for one in TABLE_3), ("localisation", "attribution-localisation")):
        if (here.plain["metric"] == metric).any():  # no localisation where images have no masks
            asked = ask(f"{name}-{metric}", metric, "higher", "half", "correlation")
            yield of_images(asked, _HALF - alike(here.plain, directions((metric,)), fidelity), (-_HALF, 3 * _HALF))
    sanity = directions(("parameter-randomisation",))
    asked = ask("sanity-order", *sanity, "higher", "correlation", "none")
    yield of_images(asked, alike(here.plain, sanity, fidelity), OF_CORRELATION)
    yield of_families(ask("echoes-sanity", *sanity, "higher", "gradient", "cam"), here.plain, FAMILIES)


def fidelity(ask: Ask, here: Found) -> Iterator[Decided]:
    """§5.2."""
    plain = here.plain
    for metric in (*TABLE_1, _TOOLS):
        worse = "higher" if metrics.about(metric).better == "lower" else "lower"
        note = _printed(metric, "gradient", "cam")
        yield of_families(ask(f"gradients-{metric}", metric, worse, "gradient", "cam", note=note), plain, FAMILIES)
    for who, other in ((who, other) for who in ("cam", "fake-cam") for other in ("gradient", "occlusion", "learning")):
        asked = ask(f"cams-{who}-{other}", "mean rank", "lower", who, other, who=_SHOWN[who], other=_SHOWN[other])
        yield of_families(asked, here.ranks, FAMILIES)
    for metric in ("average-increase", "average-drop", "monotonicity", _TOOLS):
        asked = ask(f"top-{metric}", metric, "higher", "fake-cam", "third")
        yield of_count(asked, *found.beaten(plain, metric, "fake-cam", INFORMED, metrics.about(metric).better))
    shares = {name: found.superiority(plain, name, "fake-cam") for name in ("average-gain", "insertion", "deletion")}
    for metric, share in shares.items():
        note = _printed(metric, "fake-cam", "informed")
        asked = ask(f"fooled-{metric}", metric, "lower", "fake-cam", "half", note=note)
        yield of_images(asked, share - _HALF, OF_SHARE)
    for metric in ("average-gain", "insertion"):
        asked = ask(f"extent-{metric}", metric, "higher", "deletion", metric)
        yield of_images(asked, shares["deletion"] - shares[metric], OF_CORRELATION)
    for metric in FIDELITY:
        asked = ask(f"regions-{metric}", metric, "higher", "correlation", "none")
        yield of_images(asked, alike(plain, {"complexity": "higher"}, directions((metric,))), OF_CORRELATION)
    yield from _probability(ask, plain)
    yield from tell_apart(ask, "discrimination", FIDELITY, plain)
    yield from _by_target(ask, here.by_target)
    for method in (name for name in INFORMED if (plain["method"] == name).any()):
        asked = ask(f"specific-{method}", "class-similarity", "higher", about(method).title, "half")
        yield of_images(asked, by_image(plain, "class-similarity", (method,)) - _HALF, (-3 * _HALF, _HALF))


def transformed(ask: Ask, here: Found) -> Iterator[Decided]:
    """§5.3."""
    yield from tell_apart(ask, "differentiation", TABLE_3, here.plain)
    change = here.moved[here.moved["metric"].isin(FIDELITY)].assign(value=here.moved["change"])
    least = max(metrics.about(metric).relevant for metric in FIDELITY)
    for method in INFORMED:
        asked = ask(f"sensitive-{method}", "change", "higher", about(method).title, f"{least:g}")
        yield of_images(asked, change[change["method"] == method].groupby("index")["value"].mean() - least)
    for transform, name in TRANSFORM_NAMES.items():
        rows = _averaged(change[change["transform"] == transform], _KEYS[:3]).assign(metric="change")
        yield of_families(ask(f"moves-{transform}", "change", "higher", "gradient", "cam", what=name), rows, FAMILIES)
    shift = here.moved.assign(value=here.moved["shift"])
    for metric, transform in (("average-increase", "rotation"), ("average-drop", "resize")):
        asked = ask(f"baseline-{metric}", metric, "higher", TRANSFORM_NAMES[transform], "untouched")
        yield of_images(asked, by_image(shift[shift["transform"] == transform], metric, ("fake-cam",)))
    everywhere = _averaged(shift, _KEYS)
    for metric in ("insertion", "deletion"):
        moved = by_image(everywhere, metric, INFORMED)
        yield of_images(ask(f"changes-{metric}", metric, "lower", "transformed", "untouched"), moved)
        parts = (_averaged(part, _KEYS) for _, part in shift.groupby(shift["transform"] == "crop"))
        others, crop = (by_image(part, metric, INFORMED) for part in parts)
        yield of_images(ask(f"crop-{metric}", metric, "higher", "crop", "others"), (crop - others).dropna())
        asked = ask(f"linked-{metric}", metric, "higher", "probability", "none")
        yield of_correlation(asked, by_image(everywhere, "probability", INFORMED), moved)
    yield from _gain_is_stable(ask, here.plain, _averaged(change, _KEYS))


def tell_apart(ask: Ask, name: str, names: tuple[str, ...], plain: pd.DataFrame) -> Iterator[Decided]:
    """That metrics do not tell most pairs of the nine methods apart."""
    for metric in names:
        many, n_images = found.pairs(plain, metric, INFORMED, metrics.about(metric).relevant)
        yield of_count(ask(f"{name}-{metric}", metric, "higher", "half", "pairs"), many.opposite(), n_images)


def _probability(ask: Ask, plain: pd.DataFrame) -> Iterator[Decided]:
    probability = by_image(plain, "probability", INFORMED)
    for metric in ("insertion", "deletion"):
        asked = ask(f"probability-{metric}", metric, "higher", "probability", "none")
        yield of_correlation(asked, probability, by_image(plain, metric, INFORMED))
    both = [("pronounced-deletion", "insertion", "higher", ("insertion", "informed"), ("deletion", "informed"))]
    for metric, better in (("average-gain", "higher"), ("average-drop", "lower")):
        asked = ask(f"follow-{metric}", metric, better, "probability", "none")
        yield of_correlation(asked, probability, by_image(plain, metric, FAMILIES["cam"]))
        both.append((f"apparent-{metric}", metric, better, (metric, "cam"), (metric, "others")))
    for name, metric, better, *sides in both:
        scores = [by_image(plain, one, FAMILIES[who]) for one, who in sides]
        table = pd.concat([probability, *scores], axis=1).dropna().to_numpy().T
        rho = [statistics.rank_agreement(table[0], side, kind="spearman") for side in table[1:]]
        draws = [spearman_draws(table[0], side) for side in table[1:]]
        asked = ask(name, metric, better, *("/".join(side) for side in sides))
        yield of_draws(asked, rho[0] - rho[1], draws[0] - draws[1], table.shape[1])


def _by_target(ask: Ask, rows: pd.DataFrame) -> Iterator[Decided]:
    rows = rows.assign(method=rows["method"] + "@" + rows["target"])
    sides = {target: tuple(f"{method}@{target}" for method in INFORMED) for target in TARGETS}
    true, predicted, least = TARGETS
    for metric, better in directions(FIDELITY).items():
        yield of_families(ask(f"truth-{metric}", metric, better, true, predicted), rows, sides)
        wide = by_group(rows, metric, {name: sides[name] for name in (true, predicted)})
        lost = (wide[true] - wide[predicted]) * (1 if better == "higher" else -1)
        yield of_images(ask(f"slightly-{metric}", metric, "higher", "a tenth", "what is lost"), SLIGHTLY - lost)
        claimed = "higher" if metric == "average-increase" else "lower"
        yield of_families(ask(f"least-{metric}", metric, claimed, least, true), rows, sides)


def _gain_is_stable(ask: Ask, plain: pd.DataFrame, change: pd.DataFrame) -> Iterator[Decided]:
    """Absolutely, and as a share of the score itself, read so that higher is better (AD̄ and D̄ for AD and D)."""
    rows = change.assign(method=change["method"] + "@" + change["metric"], metric="change")
    sides = {metric: tuple(f"{method}@{metric}" for method in INFORMED) for metric in FIDELITY}
    changes = pd.DataFrame({name: by_image(rows, "change", methods) for name, methods in sides.items()}).dropna()
    levels = pd.DataFrame({name: by_image(plain, name, INFORMED) for name in FIDELITY}).loc[changes.index]
    lower = [name for name, better in directions(FIDELITY).items() if better == "lower"]
    levels[lower] = 1 - levels[lower]
    moved, level = (resampled_means(table.to_numpy().T) for table in (changes, levels))  # each [1 + R, metrics]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = pd.DataFrame(moved / level, columns=FIDELITY)
    gain, *others = ("average-gain", *(name for name in FIDELITY if name != "average-gain"))
    for other in others:
        yield of_families(ask(f"stable-{other}", "change", "lower", gain, other, what=title(other)), rows, sides)
        apart = (shares[gain] - shares[other]).replace([np.inf, -np.inf], np.nan)
        asked = ask(f"share-{other}", "relative change", "lower", gain, other, what=title(other))
        yield of_draws(asked, apart[0], apart[1:].to_numpy(), len(changes))


def _averaged(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return rows.groupby(keys, as_index=False)["value"].mean()


def _printed(metric: str, a: str, b: str) -> str:
    """What Table 1 has for two groups of methods: the means of the printed values."""
    rows = published.table("saliency", 1)
    values = rows[rows["metric"] == metric.replace(_TOOLS, "monotonicity")].set_index("method")["value"]
    ours, other = (values[list(FAMILIES[name])].mean() for name in (a, b))
    return f"Printed: {ours:.3g} against {other:.3g}, higher being better."


def title(metric: str) -> str:
    """A metric as the texts of claims have it."""
    long = {"insertion": "Insertion", "deletion": "Deletion", "effective-complexity": "EC"}
    return long.get(metric) or (metrics.about(metric).title if metric in metrics.names() else metric)


def claim(dataset: str, name: str, metric: str, better: str, a: str, b: str, **words: str) -> Claim:
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
