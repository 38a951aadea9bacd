"""Tables of the benchmark: who takes part, every method under every metric, and what the scores say of metrics."""

from pathlib import Path

import pandas as pd
from IPython.display import HTML

from xai_lib import explainers, files
from xai_lib.page import standalone, table
from xai_lib.page.names import FAMILY_NAMES, METHOD_NAMES, METRIC_NAMES
from xai_lib.page.registered import metric_table
from xai_lib.page.table import MISSING, Column, each, ends, number, part_of, show, text
from xai_lib.papers.saliency import analysis, claims, experiment
from xai_lib.papers.saliency.analysis import evidence, scores
from xai_lib.papers.saliency.method import TARGETS, lineup
from xai_lib.papers.saliency.tables.printed import METHOD, METRIC, table_1, table_2, table_3, table_4, tools
from xai_lib.run.settings import Study

_ROLES = dict.fromkeys(lineup.PAPER, "Table 1") | dict.fromkeys(lineup.CONTROLS, "control")
_ORDERS = {"parameter-randomisation": "head downwards", "parameter-randomisation-independent": "one part at a time"}
_PIXELS = ("effective-complexity", "effective-complexity-minimum")  # counted, not measured
_PARTS = ("fidelity", "repeated", "metric")
_WORDS = """<p>Scores are means over images, of maps for each image's true class. Arrows say which direction is better.
A dash stands where a method or a metric does not apply. Uninformed methods never ask the network: a metric that one of
them wins says little about the others on these images. Where the intervals of two methods overlap, in
<code>leaderboard-intervals.csv</code>, their difference is uncertain.</p>"""


def networks(study: Study) -> HTML:
    """The networks, their accuracy and confidence on the images of the benchmark."""
    from_elsewhere = {subject.seed for subject in study.networks if not subject.parents}
    columns = [text("network", "seed", lambda seed: "not trained here" if seed in from_elsewhere else f"seed {seed}")]
    columns += [*each(None, images="images"), *each(number(1, times=100), accuracy="accuracy (%)")]
    titles = ("mean probability of the true class", "of the predicted class", "of the least probable class")
    columns += map(Column, titles, TARGETS, (number(), number(), "{:.1e}".format))
    caption = f"Networks and images of the benchmark: {study.run.label}."
    return show(evidence.networks(study), columns, caption, name="networks")


def methods(study: Study) -> HTML:
    """The line-up: family, what is explained, where the method comes from, settings that the scale decides."""

    def settings(name: str) -> str:
        given = experiment.settings_of(study.run, name).items()
        return ", ".join(f"{key} {value}" for key, value in given) or MISSING

    rows = pd.DataFrame([vars(explainers.about(name)) for name in study.methods]).drop(columns="function")
    columns = [text("method", "title"), text("name in the library", "name"), text("family", "family", FAMILY_NAMES)]
    columns += [text("explains", ("explains", "class_specific"), lambda what, one: what if one else "no class")]
    columns += [text("in the paper", "name", lambda name: _ROLES.get(name, "beyond"))]
    columns += [text("settings", "name", settings), text("from", "paper")]
    return show(rows, columns, "Methods of the benchmark.", name="methods")


def metrics() -> HTML:
    """What each metric is: direction, range, where it is defined."""
    return metric_table((*lineup.METRICS, *lineup.added_metrics()), METRIC_NAMES, "Metrics of the benchmark.")


def cost(study: Study) -> HTML:
    """What a map costs."""
    columns = [METHOD, Column("forward passes", "forwards", lambda n: MISSING if pd.isna(n) else f"{n:,.0f}")]
    columns += each(number(2, times=1000), seconds="milliseconds") + each(number(2), megabytes="peak memory (MB)")
    caption = f"Cost of explaining an image, in a batch of up to eight: {study.run.label}, {study.run.device}."
    return show(_with_dashes(evidence.cost(study), study), columns, caption + _reasons(study, "cost"), name="cost")


def sentences(study: Study) -> HTML:
    """The paper's sentences with a verdict under both readings of its maps."""

    def verdict(verdict: str, n: int, holds: int, reverses: int) -> str:
        return f"{verdict} ({holds} of {n} hold, {reverses} reverse)" if n > 1 else verdict

    columns = [text("section", "section"), Column("the paper says", "text", kind="long")]
    for reading, suffix in (("absolute, as the cited code", ""), ("signed, as the text", "_signed")):
        source = (f"verdict{suffix}", "comparisons", f"holds{suffix}", f"reverses{suffix}")
        columns.append(Column(f"maps {reading}", source, verdict, "long"))
    caption = f"The paper's sentences on {study.run.label}, under two readings of how maps are scaled."
    return show(claims.sentences(study), columns, caption, name="sentences")


def sanity(study: Study) -> HTML:
    """Parameter randomisation, which the paper discusses and prints no value of."""
    rows = analysis.printed.unprinted(study, lineup.SANITY)
    columns = [text("weights replaced", "metric", _ORDERS), METHOD, *each(number(), mean="rank correlation ↓"), ends()]
    columns += each(None, n_undefined="undefined maps")
    caption = f"Maps before and after the weights were replaced: {study.run.label}, {rows['n_images'].max()} images."
    return show(rows, columns, caption + _reasons(study, "repeated"), name="sanity", group=["weights replaced"])


def unprinted(study: Study) -> HTML:
    """Metrics that the paper defines without printing a value, and what a data set's masks say."""
    names = scores.present(study, (*lineup.UNPRINTED, *lineup.LOCALISATION))
    columns = [METHOD, *(Column(_title(name), analysis.printed.column(name), _digits(name)) for name in names)]
    caption = f"Metrics without a published value, means unless stated: {study.run.label}."
    wide = _with_dashes(analysis.printed.leaderboard(study, names), study)
    caption, rows = caption + _reasons(study, *_PARTS), analysis.printed.unprinted(study, names)
    return show(wide, columns, caption, name="unprinted", behind=rows)


def leaderboard(study: Study) -> HTML:
    """Means of every method under every metric; the best method of each that looks at the network is starred."""
    names = scores.present(study)
    wide, better, columns = analysis.printed.leaderboard(study, names), scores.directions(names), [METHOD]
    informed = wide[~wide["method"].isin(lineup.UNINFORMED)]
    for name in names:
        column = analysis.printed.column(name)
        best = informed[column].min() if better[name] == "lower" else informed[column].max()
        columns.append(Column(_title(name), (column, "method"), _starred(_digits(name), best)))
    caption = (
        f"Every method under every metric, means unless stated: {study.run.label}. A star marks the best that looks at "
        "the network."
    )
    return show(_with_dashes(wide, study), columns, caption + _reasons(study, *_PARTS), name="leaderboard")


def readings(study: Study) -> HTML:
    """How far other readings move the ranking: rank correlation with the paper's reading, and the method moved most."""
    columns = [METRIC, text("reading", "reading"), *each(number(2), tau="Kendall's τ with the paper's")]
    columns += [Column("methods that change place", ("n_moved", "n_methods"), part_of)]
    said = lambda who, by: f"{METHOD_NAMES[who]}, by {by:g}" if by else MISSING  # noqa: E731
    columns += [text("moved most", ("method", "moved"), said)]
    caption = (
        f"Rankings of the paper's methods and the controls in other readings of a metric: {study.run.label}. Middle "
        "ranks for ties."
    )
    rows = evidence.readings(study)
    return show(evidence.moved_most(study), columns, caption, name="readings", group=["metric"], behind=rows)


def stability(study: Study) -> HTML:
    """Do images, halves of the images and trainings rank the methods alike?"""
    columns = [METRIC, *each(None, n_images="images")]
    columns += [*each(number(2), w_images="agreement of images (Kendall's W)"), ends(2)]
    columns += each(number(2), tau_halves="two halves of the images (τ)", tau_seeds="two trainings (τ)")
    caption = f"Stability of the order of the {len(evidence.informed(study))} informed methods: {study.run.label}."
    return show(evidence.stability(study), columns, caption, name="stability")


def fooled(study: Study) -> HTML:
    """Which uninformed maps fool which metric."""
    columns = [METRIC, text("uninformed map", "control", METHOD_NAMES)]
    columns += [*each(number(0, times=100), superiority="better than a method (%)"), ends(0, times=100)]
    columns += [Column("rank", ("rank", "n_methods"), part_of)]
    columns += [text("the metric is", ("verdict", "n_images"), lambda verdict, n: verdict if n > 0 else "undefined")]
    caption = (
        f"Is the metric fooled? How often an uninformed map scores better than one of the "
        f"{len(evidence.informed(study))} informed methods on the same image: {study.run.label}."
    )
    return show(evidence.fooled(study), columns, caption, name="fooled", group=["metric"])


def discrimination(study: Study) -> HTML:
    """How many pairs of methods each metric tells apart, with certainty and by what matters."""
    columns = [METRIC, *each(None, n_images="images")]
    columns += each(lambda least: f"{least:g}" if least else "any", relevant="smallest difference that matters")
    counts = {"apart": "pairs told apart", "alike": "pairs that do not differ by so much"}
    columns += [Column(title, (name, "pairs"), part_of) for name, title in counts.items()]
    n = len(evidence.informed(study))
    caption = f"Pairs of the {n} informed methods under each metric, decided by Holm's method: {study.run.label}."
    return show(evidence.discrimination(study), columns, caption, name="discrimination")


def export(study: Study, folder: Path | str) -> tuple[Path, Path, Path]:
    """Write a leaderboard into a folder, made if need be; returns its files.

    ``leaderboard.csv`` has a row a method and a column a metric, as the page; ``leaderboard-intervals.csv`` a row a
    metric and method, with mean, 95 % interval, median and number of images; ``leaderboard.html`` is the page.
    """
    folder, names = Path(folder), scores.present(study)
    folder.mkdir(parents=True, exist_ok=True)
    wide, rows = analysis.printed.leaderboard(study, names), analysis.printed.unprinted(study, names)
    wide.insert(1, "title", [METHOD_NAMES[name] for name in wide["method"]])
    files.write_frame(folder / "leaderboard.csv", wide)
    files.write_frame(folder / "leaderboard-intervals.csv", rows)
    parts = (_WORDS, leaderboard(study).data, networks(study).data)
    page = standalone.write(folder / "leaderboard.html", f"Leaderboard of methods: {study.run.label}", *parts)
    return folder / "leaderboard.csv", folder / "leaderboard-intervals.csv", page


def _reasons(study: Study, *parts: str) -> str:
    """Why methods and metrics have no scores in some parts, as sentences behind a caption; empty where all have."""
    left_out, found = experiment.left_out(study, *parts), {}
    for (method, metric), why in left_out.items():
        if metric and (method, "") in left_out:
            continue
        found.setdefault(why, []).append(METHOD_NAMES[method] + (f" under {METRIC_NAMES[metric]}" if metric else ""))
    return "".join(f" No score for {', '.join(names)}: {why}" for why, names in found.items())


def _with_dashes(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Rows by method, and an empty one for each of the study's methods without."""
    names = [name for name in lineup.methods() if name in {*study.methods, *rows["method"]}]
    return rows.set_index("method").reindex(names).rename_axis("method").reset_index()


def _title(metric: str) -> str:
    return METRIC_NAMES[metric] + (", median" if metric in scores.BY_MEDIAN else "")


def _digits(metric: str) -> table.Format:
    """The format with the digits that a metric's values have: one where pixels are counted or values are large."""
    return lambda value: number(1 if metric in _PIXELS or abs(value) >= 100 else 3)(value)


def _starred(format: table.Format, best: float) -> table.Format:
    return lambda value, method: format(value) + (" *" if value == best and method not in lineup.UNINFORMED else "")
