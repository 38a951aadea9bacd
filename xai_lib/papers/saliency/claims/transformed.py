"""The takeaways and claims of §5.3: robustness and complexity, and fidelity on transformed images."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from xai_lib import metrics
from xai_lib.explainers.registry import about
from xai_lib.page.names import TRANSFORM_NAMES
from xai_lib.papers.saliency.analysis.found import FAMILIES, Found, by_image
from xai_lib.papers.saliency.analysis.scores import directions
from xai_lib.papers.saliency.claims.asked import of_correlation, of_draws, of_families, of_images, title
from xai_lib.papers.saliency.claims.fidelity import tell_apart
from xai_lib.papers.saliency.method.lineup import FIDELITY, INFORMED, TABLE_3
from xai_lib.statistics import Claim, Decided
from xai_lib.statistics.intervals import resampled_counts

_KEYS = ["seed", "index", "method", "metric"]


def transformed(ask: Callable[..., Claim], here: Found) -> Iterator[Decided]:
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
        others, crop = (
            by_image(_averaged(part, _KEYS), metric, INFORMED)
            for _, part in shift.groupby(shift["transform"] == "crop")
        )
        yield of_images(ask(f"crop-{metric}", metric, "higher", "crop", "others"), (crop - others).dropna())
        asked = ask(f"linked-{metric}", metric, "higher", "probability", "none")
        yield of_correlation(asked, by_image(everywhere, "probability", INFORMED), found)
    yield from _gain_is_stable(ask, here.plain, _averaged(change, _KEYS))


def _gain_is_stable(ask: Callable[..., Claim], plain: pd.DataFrame, change: pd.DataFrame) -> Iterator[Decided]:
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
