"""Tables 1 to 4 beside print, and how far the paper's tools are from the library."""

import pandas as pd
from IPython.display import HTML

from xai_lib import statistics
from xai_lib.page.names import METHOD_NAMES, METRIC_NAMES, TRANSFORM_NAMES
from xai_lib.page.table import MISSING, Column, each, ends, interval, number, plus_minus, show, text, wide
from xai_lib.papers.saliency import analysis
from xai_lib.papers.saliency.method import TARGETS, lineup
from xai_lib.run.settings import Study

METHOD = text("method", "method", METHOD_NAMES)
METRIC = text("metric", "metric", METRIC_NAMES)
_PER_SIZE = {"complexity": "Complexity / ln HW ↓", "effective-complexity": "EC / HW, as tabulated ↓"}
_COMPARED = {"metric": "{}, of the same maps", "map": "map of {}"}
_WHY = {
    **dict.fromkeys(("max-sensitivity", "average-sensitivity"), "other noise is drawn"),
    "monotonicity-quantus": "other noise is drawn, and three times as many sets of colour values are replaced",
    "grad-cam++": "the tool adds 1e-6 to a denominator that small gradients do not exceed",
    "score-cam": "the tool enlarges channels corner to corner before it masks with them",
}
_ROUNDING = 1e-4


def table_1(study: Study) -> HTML:
    """Table 1: ours, interval, published value, ranks on both sides, and the authors' tools."""
    return _against_print(analysis.printed.table_1(study), study, "Fidelity for the true class", "table-1")


def table_2(study: Study) -> HTML:
    """Table 2: true, predicted and least probable class, beside print."""
    rows, columns = analysis.printed.table_2(study), [METRIC, METHOD]
    for target in TARGETS:
        title, here = target.replace("-", " "), tuple(f"{name} {target}" for name in ("mean", "low", "high"))
        columns.append(Column(f"{title}, here", here, lambda mean, *ends: f"{number()(mean)} {interval()(*ends)}"))
        columns.append(Column(f"{title}, paper", f"published {target}", number()))
    papers = rows[rows["method"].isin(lineup.PAPER)]
    caption = (
        f"Fidelity for three classes of an image, means and 95 % intervals: {_counted(papers, study)}. Paper: "
        "ResNet-50 on ImageNet, as fractions, with AD and D as defined."
    )
    found = wide(papers, ["metric", "method"], "target", ["mean", "low", "high", "published"])
    return show(found, columns, caption, name="table-2", group=["metric"], behind=rows)


def table_3(study: Study) -> HTML:
    """Table 3: robustness and complexity, beside print."""
    note = " Complexity is a share of its ceiling ln HW and EC one of the HW pixels, on both sides."
    return _against_print(analysis.printed.table_3(study), study, "Robustness and complexity", "table-3", note)


def table_4(study: Study) -> HTML:
    """Table 4: the paper's methods and the controls under four transformations, beside print."""
    rows = analysis.printed.table_4(study)

    def beside(mean: float, published: float) -> str:
        return number()(mean) + ("" if pd.isna(published) else f" ({number()(published)})")

    columns = [text("transformation", "transform", TRANSFORM_NAMES), METHOD]
    columns += [Column(METRIC_NAMES[name], (f"mean {name}", f"published {name}"), beside) for name in lineup.FIDELITY]
    caption = (
        f"Fidelity on transformed images, four settings averaged; in brackets the paper's, as fractions, with AD and D "
        f"as defined: {_counted(rows, study)}. Intervals are in the recorded CSV."
    )
    found = wide(rows, ["transform", "method"], "metric", ["mean", "published"])
    found = found.sort_values("transform", key=lambda names: names.map(list(TRANSFORM_NAMES).index), kind="stable")
    return show(found, columns, caption, name="table-4", group=["transformation"], behind=rows)


def tools(study: Study) -> HTML:
    """How far the authors' tools are from the library, and why."""
    names = {**METHOD_NAMES, **METRIC_NAMES}
    columns = [text("compared", ("what", "name"), lambda what, name: _COMPARED[what].format(names[name]))]
    columns += [*each(None, n="maps"), *each("{:.2g}".format, difference="largest difference")]
    columns += each(number(), rho="rank correlation")
    reason = ("name", "difference"), lambda name, gap: "rounding" if gap < _ROUNDING else _WHY.get(name, MISSING)
    columns.append(text("why they differ", *reason))
    caption = (
        f"Metrics by quantus of the same maps, and maps by pytorch-grad-cam with the rank correlation of their AD: "
        f"{study.run.label}, the first network."
    )
    return show(analysis.printed.agreement(study), columns, caption, name="tools")


def _against_print(rows: pd.DataFrame, study: Study, title: str, name: str, note: str = "") -> HTML:
    columns = [text("metric", "metric", lambda name: _PER_SIZE.get(name, METRIC_NAMES[name])), METHOD]
    columns += [Column("here", ("mean", "spread"), plus_minus()), ends()]
    columns += [Column("paper, in our unit (as printed)", ("published", "printed"), _as_printed)]
    columns += [Column("rank here; in print", ("rank", "published_rank"), "{:g}; {:g}".format)]
    columns += [Column("authors' tools; ours, same images", ("by_tool", "ours_there"), _side_by_side)]
    papers = rows[rows["method"].isin(lineup.PAPER)]
    if papers["n_undefined"].any():
        columns.append(Column("undefined maps", "n_undefined"))
    orders = papers.groupby("metric", sort=False)[["rank", "published_rank"]]
    taus = {metric: statistics.rank_agreement(*both.to_numpy().T) for metric, both in orders}
    agreed = ", ".join(f"{METRIC_NAMES[metric][:-2]} {number(2)(tau)}" for metric, tau in taus.items())
    caption = (
        f"{title}: {_counted(papers, study)}. Paper: ResNet-50 on ImageNet, so orders can be compared, levels cannot; "
        f"Kendall's τ of the two orders of ten methods: {agreed}. Tools: the first {papers['n_tools'].max():g} images "
        f"of the first network, where a tool is sound.{note}"
    )
    return show(papers, columns, caption, name=name, group=["metric"], behind=rows)


def _counted(rows: pd.DataFrame, study: Study) -> str:
    """On what the means are: networks, and the images that the best covered metric is defined on."""
    seeds, images = rows["n_seeds"].max(), rows["n_images"].max()
    return f"{study.run.label}, {seeds} network{'s' if seeds > 1 else ''}, up to {images} images each"


def _as_printed(value: float, printed: str) -> str:
    return f"{number()(value)} ({printed})" if printed else MISSING


def _side_by_side(tool: float, ours: float) -> str:
    return MISSING if pd.isna(tool) else f"{number()(tool)}; {number()(ours)}"
