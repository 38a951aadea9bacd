"""Tables of the saliency notebooks."""

from collections.abc import Callable

import pandas as pd
from IPython.display import HTML

from xai_lib import explainers
from xai_lib.page import record, table
from xai_lib.page.names import FAMILY_NAMES, METHOD_NAMES, METRIC_NAMES, TRANSFORM_NAMES
from xai_lib.page.registered import metric_table
from xai_lib.page.table import MISSING, Column, interval, number, part_of, plus_minus, printed, show, signed, text
from xai_lib.papers.saliency import analysis, experiment
from xai_lib.papers.saliency.analysis import evidence, scores
from xai_lib.papers.saliency.method import TARGETS, lineup
from xai_lib.run.study import Study

_ROLES = dict.fromkeys(lineup.PAPER, "Table 1") | dict.fromkeys(lineup.CONTROLS, "control")
_ORDERS = {"parameter-randomisation": "head downwards", "parameter-randomisation-independent": "one part at a time"}
_PIXELS = ("effective-complexity", "effective-complexity-minimum")  # counted, not measured
_METHOD = text("method", "method", METHOD_NAMES)
_METRIC = text("metric", "metric", METRIC_NAMES)


def networks(study: Study) -> HTML:
    """The networks, their accuracy and confidence on the images of the benchmark."""
    from_elsewhere = {subject.seed for subject in study.networks if not subject.parents}
    columns = [
        text("network", "seed", lambda seed: "not trained here" if seed in from_elsewhere else f"seed {seed}"),
        Column("images", "images"),
        Column("accuracy (%)", "accuracy", number(1, times=100)),
        Column("mean probability of the true class", TARGETS[0], number()),
        Column("of the predicted class", TARGETS[1], number()),
        Column("of the least probable class", TARGETS[2], "{:.1e}".format),
    ]
    caption = f"Networks and images of the benchmark: {study.run.label}."
    return show(evidence.networks(study), columns, caption, name="networks")


def methods(study: Study) -> HTML:
    """The line-up: family, what is explained, where the method comes from, settings that the scale decides."""

    def settings(name: str) -> str:
        given = experiment.settings_of(study.run, name).items()
        return ", ".join(f"{key} {value}" for key, value in given) or MISSING

    rows = pd.DataFrame([vars(explainers.about(name)) for name in study.methods]).drop(columns="function")
    columns = [
        text("method", "title"),
        text("name in the library", "name"),
        text("family", "family", FAMILY_NAMES),
        text("explains", ("explains", "class_specific"), lambda what, specific: what if specific else "no class"),
        text("in the paper", "name", lambda name: _ROLES.get(name, "beyond")),
        text("settings", "name", settings),
        text("from", "paper"),
    ]
    return show(rows, columns, "Methods of the benchmark.", name="methods")


def metrics() -> HTML:
    """What each metric is: direction, range, where it is defined."""
    return metric_table((*lineup.METRICS, *lineup.added_metrics()), METRIC_NAMES, "Metrics of the benchmark.")


def cost(study: Study) -> HTML:
    """What a map costs."""
    columns = [
        _METHOD,
        Column("forward passes", "forwards", "{:,.0f}".format),
        Column("milliseconds", "seconds", number(2, times=1000)),
        Column("peak memory (MB)", "megabytes", number(2)),
    ]
    caption = f"Cost of explaining an image, in a batch of up to eight: {study.run.label}, {study.run.device}."
    return show(evidence.cost(study), columns, caption, name="cost")


def table_1(study: Study) -> HTML:
    """Table 1: ours, interval, published value, difference."""
    return _against_print(analysis.printed.table_1(study), study, "Fidelity for the true class", "table-1")


def table_2(study: Study) -> HTML:
    """Table 2: true, predicted and least probable class, beside print."""
    rows, columns = analysis.printed.table_2(study), [_METRIC, _METHOD]
    for target in TARGETS:
        title, here = target.replace("-", " "), tuple(f"{name} {target}" for name in ("mean", "low", "high"))
        columns.append(Column(f"{title}, here", here, lambda mean, *ends: f"{number()(mean)} {interval()(*ends)}"))
        columns.append(Column(f"{title}, paper", f"published {target}", number()))
    papers = rows[rows["method"].isin(lineup.PAPER)]
    caption = (
        f"Fidelity for three classes of an image, means and 95 % intervals: {_counted(papers, study)}. Paper: "
        "ResNet-50 on ImageNet, as fractions, with AD and D as defined."
    )
    wide = _wide(papers, ["metric", "method"], "target", ["mean", "low", "high", "published"])
    return _recorded("table-2", rows, show(wide, columns, caption, group=["metric"]))


def table_3(study: Study) -> HTML:
    """Table 3: robustness and complexity, beside print."""
    return _against_print(analysis.printed.table_3(study), study, "Robustness and complexity", "table-3")


def table_4(study: Study) -> HTML:
    """Table 4: the paper's methods and the controls under four transformations, beside print."""
    rows = analysis.printed.table_4(study)

    def beside(mean: float, published: float) -> str:
        return number()(mean) + ("" if pd.isna(published) else f" ({number()(published)})")

    columns = [text("transformation", "transform", TRANSFORM_NAMES), _METHOD]
    for metric in lineup.FIDELITY:
        columns.append(Column(METRIC_NAMES[metric], (f"mean {metric}", f"published {metric}"), beside))
    caption = (
        f"Fidelity on transformed images, four settings averaged; in brackets the paper's, as fractions, with AD and D "
        f"as defined: {_counted(rows, study)}. Intervals are in the recorded CSV."
    )
    wide = _wide(rows, ["transform", "method"], "metric", ["mean", "published"])
    wide = wide.sort_values("transform", key=lambda names: names.map(list(TRANSFORM_NAMES).index), kind="stable")
    return _recorded("table-4", rows, show(wide, columns, caption, group=["transformation"]))


def sanity(study: Study) -> HTML:
    """Parameter randomisation, which the paper discusses and prints no value of."""
    rows = analysis.printed.unprinted(study, lineup.SANITY)
    columns = [
        text("weights replaced", "metric", _ORDERS),
        _METHOD,
        Column("rank correlation ↓", "mean", number()),
        Column("95 % interval", ("low", "high"), interval()),
        Column("undefined", "n_undefined"),
    ]
    caption = f"Maps before and after the weights were replaced: {study.run.label}, {rows['n_images'].max()} images."
    return show(rows, columns, caption, name="sanity", group=["weights replaced"])


def unprinted(study: Study) -> HTML:
    """Metrics that the paper defines without printing a value, and what a data set's masks say."""
    names = scores.present(study, (*lineup.UNPRINTED, *lineup.LOCALISATION))
    columns = [_METHOD, *(Column(_title(name), analysis.printed.column(name), _digits(name)) for name in names)]
    caption = f"Metrics without a published value, means unless stated: {study.run.label}."
    shown = show(analysis.printed.leaderboard(study, names), columns, caption)
    return _recorded("unprinted", analysis.printed.unprinted(study, names), shown)


def leaderboard(study: Study) -> HTML:
    """Means of every method under every metric; the best method of each that looks at the network is starred."""
    names = scores.present(study)
    wide, better, columns = analysis.printed.leaderboard(study, names), scores.directions(names), [_METHOD]
    informed = wide[~wide["method"].isin(lineup.UNINFORMED)]
    for name in names:
        column = analysis.printed.column(name)
        best = informed[column].min() if better[name] == "lower" else informed[column].max()
        columns.append(Column(_title(name), (column, "method"), _starred(_digits(name), best)))
    caption = (
        f"Every method under every metric, means unless stated: {study.run.label}. A star marks the best that looks at "
        "the network."
    )
    return show(wide, columns, caption, name="leaderboard")


def readings(study: Study) -> HTML:
    """How far other readings move the ranking: rank correlation with the paper's reading, and the method moved most."""
    columns = [
        _METRIC,
        text("reading", "reading"),
        Column("Kendall's τ with the paper's", "tau", number(2)),
        Column("methods that change place", ("n_moved", "n_methods"), part_of),
        text("moved most", ("method", "moved"), lambda who, by: f"{METHOD_NAMES[who]}, by {by:g}" if by else MISSING),
    ]
    caption = (
        f"Rankings of the paper's methods and the controls in other readings of a metric: {study.run.label}. Middle "
        "ranks for ties."
    )
    shown = show(evidence.moved_most(study), columns, caption, group=["metric"])
    return _recorded("readings", evidence.readings(study), shown)


def stability(study: Study) -> HTML:
    """Do images, halves of the images and trainings rank the methods alike?"""
    columns = [
        _METRIC,
        Column("images", "n_images"),
        Column("agreement of images (Kendall's W)", "w_images", number(2)),
        Column("95 % interval", ("low", "high"), interval(2)),
        Column("two halves of the images (τ)", "tau_halves", number(2)),
        Column("two trainings (τ)", "tau_seeds", number(2)),
    ]
    caption = f"Stability of the order of the {len(evidence.informed(study))} informed methods: {study.run.label}."
    return show(evidence.stability(study), columns, caption, name="stability")


def fooled(study: Study) -> HTML:
    """Which uninformed maps fool which metric."""
    columns = [
        _METRIC,
        text("uninformed map", "control", METHOD_NAMES),
        Column("better than a method (%)", "superiority", number(0, times=100)),
        Column("95 % interval", ("low", "high"), interval(0, times=100)),
        Column("rank", ("rank", "n_methods"), part_of),
        text("the metric is", ("verdict", "n_images"), lambda verdict, n: verdict if n > 0 else "undefined"),
    ]
    caption = (
        f"Is the metric fooled? How often an uninformed map scores better than one of the "
        f"{len(evidence.informed(study))} informed methods on the same image: {study.run.label}."
    )
    return show(evidence.fooled(study), columns, caption, name="fooled", group=["metric"])


def discrimination(study: Study) -> HTML:
    """How many pairs of methods each metric tells apart."""
    columns = [
        _METRIC,
        Column("images", "n_images"),
        Column("pairs told apart", ("apart", "pairs"), part_of),
        Column("critical difference of mean ranks", "critical_difference", number(2)),
        Column("p (Friedman)", "p_value", table.p_value),
    ]
    n = len(evidence.informed(study))
    caption = f"Pairs of the {n} informed methods that a metric tells apart (Nemenyi): {study.run.label}."
    return show(evidence.discrimination(study), columns, caption, name="discrimination")


def _against_print(rows: pd.DataFrame, study: Study, title: str, name: str) -> HTML:
    def column(head: str, values: tuple[str, ...], format: Callable[[int], table.Format]) -> Column:
        return Column(head, ("metric", *values), lambda metric, *found: _digits(metric, format)(*found))

    columns = [
        _METRIC,
        _METHOD,
        column("here", ("mean", "spread"), plus_minus),
        column("95 % interval", ("low", "high"), interval),
        Column("paper, as printed", "printed", printed),
        column("paper, in our unit", ("published",), number),
        column("difference", ("difference",), signed),
        Column("undefined", "n_undefined"),
    ]
    papers = rows[rows["method"].isin(lineup.PAPER)]
    caption = f"{title}: {_counted(papers, study)}. Paper: ResNet-50 on ImageNet."
    return _recorded(name, rows, show(papers, columns, caption, group=["metric"]))


def _wide(rows: pd.DataFrame, index: list[str], across: str, values: list[str]) -> pd.DataFrame:
    """A column ``<value> <entry of across>`` for each; rows in the order in which they first come."""
    wide = rows.pivot(index=index, columns=across, values=values)
    wide.columns = [" ".join(names) for names in wide.columns]
    return rows[index].drop_duplicates().join(wide, on=index)


def _recorded(name: str, rows: pd.DataFrame, shown: HTML) -> HTML:
    """What is shown, recorded with all the rows behind it."""
    record.write_table(name, rows, shown.data)
    return shown


def _counted(rows: pd.DataFrame, study: Study) -> str:
    """On what the means are: networks, and the images that the best covered metric is defined on."""
    seeds, images = rows["n_seeds"].max(), rows["n_images"].max()
    return f"{study.run.label}, {seeds} network{'s' if seeds > 1 else ''}, up to {images} images each"


def _title(metric: str) -> str:
    return METRIC_NAMES[metric] + (", median" if metric in scores.BY_MEDIAN else "")


def _digits(metric: str, format: Callable[[int], table.Format] = number) -> table.Format:
    """The format with the digits that a metric's values have: one where pixels are counted or values are large."""
    return lambda value, *more: format(1 if metric in _PIXELS or abs(value) >= 100 else 3)(value, *more)


def _starred(format: table.Format, best: float) -> table.Format:
    return lambda value, method: format(value) + (" *" if value == best and method not in lineup.UNINFORMED else "")
