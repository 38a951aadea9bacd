"""The takeaways of §§3 and 4, and the takeaways and claims of §§5.2 and 5.3, on transformed images among them."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from xai_lib import metrics, published, statistics
from xai_lib.explainers.registry import about
from xai_lib.page.names import TRANSFORM_NAMES
from xai_lib.papers.saliency.analysis.found import (
    FAMILIES,
    Found,
    alike,
    beaten,
    by_image,
    families,
    pairs,
    superiority,
)
from xai_lib.papers.saliency.analysis.scores import directions
from xai_lib.papers.saliency.claims.asked import (
    GAP,
    OF_CORRELATION,
    OF_SHARE,
    SLIGHTLY,
    of_correlation,
    of_count,
    of_draws,
    of_families,
    of_images,
    title,
)
from xai_lib.papers.saliency.method import TARGETS
from xai_lib.papers.saliency.method.lineup import FIDELITY, INFORMED, TABLE_1, TABLE_3
from xai_lib.statistics import Claim, Decided
from xai_lib.statistics.agreement import spearman_draws
from xai_lib.statistics.intervals import resampled_counts

_HALF = 0.5
_KEYS = ["seed", "index", "method", "metric"]
_TOOLS = "monotonicity-quantus"  # what is printed as Monotonicity; "monotonicity" is the formula in the text
_SHOWN = {"gradient": "the family of gradient-based methods", "cam": "the family of class activation maps"}
_SHOWN |= {"fake-cam": "Fake-CAM", "occlusion": "the occlusion-based family", "learning": "IBA"}
Ask = Callable[..., Claim]  # (name, metric, better, a, b, **words of the text) -> claim


def concepts(ask: Ask, here: Found) -> Iterator[Decided]:
    """§§3 and 4."""
    sides = {name: FAMILIES[name] for name in ("gradient", "cam")}
    for metric in ("average-increase", "average-drop", "average-gain"):
        gaps = []
        for rows in (here.plain[here.plain["index"].isin(here.as_ranks["index"])], here.as_ranks):
            wide = families(rows, metric, sides).pivot_table(index="index", columns="method", values="value")
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
        yield of_count(asked, *beaten(plain, metric, "fake-cam", INFORMED, metrics.about(metric).better))
    shares = {name: superiority(plain, name, "fake-cam") for name in ("average-gain", "insertion", "deletion")}
    for metric, share in shares.items():
        note = _printed(metric, "fake-cam", "informed")
        yield of_images(
            ask(f"fooled-{metric}", metric, "lower", "fake-cam", "half", note=note), share - _HALF, OF_SHARE
        )
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
        alike_classes = by_image(plain, "class-similarity", (method,)) - _HALF
        asked = ask(f"specific-{method}", "class-similarity", "higher", about(method).title, "half")
        yield of_images(asked, alike_classes, (-3 * _HALF, _HALF))


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
        found = by_image(everywhere, metric, INFORMED)
        yield of_images(ask(f"changes-{metric}", metric, "lower", "transformed", "untouched"), found)
        parts = (_averaged(part, _KEYS) for _, part in shift.groupby(shift["transform"] == "crop"))
        others, crop = (by_image(part, metric, INFORMED) for part in parts)
        yield of_images(ask(f"crop-{metric}", metric, "higher", "crop", "others"), (crop - others).dropna())
        asked = ask(f"linked-{metric}", metric, "higher", "probability", "none")
        yield of_correlation(asked, by_image(everywhere, "probability", INFORMED), found)
    yield from _gain_is_stable(ask, here.plain, _averaged(change, _KEYS))


def tell_apart(ask: Ask, name: str, names: tuple[str, ...], plain: pd.DataFrame) -> Iterator[Decided]:
    """That metrics do not tell most pairs of the nine methods apart."""
    for metric in names:
        many, n_images = pairs(plain, metric, INFORMED, metrics.about(metric).relevant)
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
        wide = families(rows, metric, {name: sides[name] for name in (true, predicted)})
        wide = wide.pivot_table(index="index", columns="method", values="value")
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
    weights = np.concatenate([np.ones((1, len(changes))), *resampled_counts(len(changes))])
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = pd.DataFrame((weights @ changes.to_numpy()) / (weights @ levels.to_numpy()), columns=FIDELITY)
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
