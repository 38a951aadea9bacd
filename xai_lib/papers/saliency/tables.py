"""Tables of the saliency notebooks."""

import math

import numpy as np
import pandas as pd
from IPython.display import HTML

from xai_lib import explainers
from xai_lib import metrics as registry
from xai_lib.page.names import FAMILY_NAMES, METHOD_NAMES, METRIC_NAMES, TRANSFORM_NAMES
from xai_lib.page.table import MISSING, blank_repeats, interval, number, p_value, plus_minus, show, signed
from xai_lib.page.verdicts import verdict_rule as verdict_rule
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis import evidence, printed, scores
from xai_lib.papers.saliency.claims import verdicts as results_of_verdicts
from xai_lib.papers.saliency.experiment import Bench
from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.saliency.method.fidelity import TARGETS

_ROLES = dict.fromkeys(lineup.PAPER, "Table 1") | dict.fromkeys(lineup.BEYOND, "beyond")
_ROLES |= dict.fromkeys(lineup.CONTROLS, "control")
_PIXELS = ("effective-complexity", "effective-complexity-minimum")  # counted, not measured


def networks(bench: Bench) -> HTML:
    """The networks, their accuracy and confidence on the images of the benchmark."""
    found = experiment.saliency_scores(bench, "fidelity")
    plain = found[(found["reading"] == "paper") & (found["metric"] == "probability")]
    first = plain[plain["method"] == bench.methods[0]].pivot(index=["seed", "index"], columns="target", values="value")
    first["correct"] = first[TARGETS[0]] == first[TARGETS[1]]
    from_elsewhere = {subject.seed for subject in bench.subjects if not subject.parents}
    rows = [
        {
            "network": "not trained here" if seed in from_elsewhere else f"seed {seed}",
            "images": len(group),
            "accuracy (%)": number(100 * group["correct"].mean(), 1),
            "mean probability of the true class": number(group[TARGETS[0]].mean()),
            "of the predicted class": number(group[TARGETS[1]].mean()),
            "of the least probable class": f"{group[TARGETS[2]].mean():.1e}",
        }
        for seed, group in first.groupby(level="seed")
    ]
    return show(pd.DataFrame(rows), f"Networks and images of the benchmark: {bench.run.label}.", text=["network"])


def methods(bench: Bench) -> HTML:
    """The line-up: family, what is explained, where the method comes from, settings that the scale decides."""
    rows = []
    for name in bench.methods:
        about = explainers.about(name)
        settings = lineup.settings(name, bench.run.explainers)
        rows.append(
            {
                "method": METHOD_NAMES[name],
                "name in the library": name,
                "family": FAMILY_NAMES[about.family],
                "explains": about.explains if about.class_specific else "no class",
                "in the paper": _ROLES[name],
                "settings": ", ".join(f"{key} {value}" for key, value in settings.items()) or MISSING,
                "from": about.paper,
            }
        )
    text = ["method", "name in the library", "family", "explains", "in the paper", "settings", "from"]
    return show(pd.DataFrame(rows), "Methods of the benchmark.", text=text)


def metrics() -> HTML:
    """What each metric is: direction, range, where it is defined."""
    rows = []
    for name in scores.ALL:
        about = registry.about(name)
        low, high = (f"{end:g}" if math.isfinite(end) else ("∞" if end > 0 else "-∞") for end in about.range)
        rows.append(
            {
                "metric": METRIC_NAMES[name],
                "name in the library": name,
                "better": about.better,
                "range": f"{low} to {high}",
                "where": about.equation,
            }
        )
    return show(
        pd.DataFrame(rows), "Metrics of the benchmark.", text=["metric", "name in the library", "better", "where"]
    )


def cost(bench: Bench) -> HTML:
    """What a map costs."""
    rows = evidence.cost(bench)
    frame = pd.DataFrame(
        {
            "method": rows["method"].map(METHOD_NAMES),
            "forward passes": [f"{value:,.0f}" for value in rows["forwards"]],
            "milliseconds": [number(1000 * value, 2) for value in rows["seconds"]],
            "peak memory (MB)": [number(value, 2) for value in rows["megabytes"]],
        }
    )
    caption = f"Cost of explaining an image, in a batch of up to eight: {bench.run.label}, {bench.run.device}."
    return show(frame, caption, text=["method"])


def table_1(bench: Bench) -> HTML:
    """Table 1: ours, interval, published value, difference."""
    return _against_print(printed.table_1(bench), bench, "Fidelity for the true class")


def table_2(bench: Bench) -> HTML:
    """Table 2: true, predicted and least probable class, beside print."""
    rows = printed.table_2(bench)
    rows = rows[rows["method"].isin(lineup.PAPER)]
    wide = pd.DataFrame({"metric": rows["metric"].map(METRIC_NAMES), "method": rows["method"].map(METHOD_NAMES),
                         "target": rows["target"]})  # fmt: skip
    wide["here"] = [f"{number(mean)} {interval(low, high)}" for mean, low, high in
                    zip(rows["mean"], rows["low"], rows["high"])]  # fmt: skip
    wide["paper"] = [number(value) for value in rows["published"]]
    table = wide.pivot(index=["metric", "method"], columns="target", values=["here", "paper"])
    order = wide[["metric", "method"]].drop_duplicates()
    flat = pd.DataFrame(
        {
            f"{target.replace('-', ' ')}, {side}": table[(side, target)].reindex(pd.MultiIndex.from_frame(order))
            for target in TARGETS
            for side in ("here", "paper")
        }
    ).reset_index()
    caption = (
        f"Fidelity for three classes of an image, means and 95 % intervals: {_counted(rows, bench)}. Paper: ResNet-50 "
        "on ImageNet, as fractions, with AD and D as defined."
    )
    return show(blank_repeats(flat, ["metric"]), caption, text=["metric", "method"])


def table_3(bench: Bench) -> HTML:
    """Table 3: robustness and complexity, beside print."""
    return _against_print(printed.table_3(bench), bench, "Robustness and complexity")


def table_4(bench: Bench) -> HTML:
    """Table 4: the paper's methods and the controls under four transformations, beside print."""
    rows = printed.table_4(bench)
    frame = pd.DataFrame(
        {
            "transformation": rows["transform"].map(TRANSFORM_NAMES),
            "metric": rows["metric"].map(METRIC_NAMES),
            "method": rows["method"].map(METHOD_NAMES),
            "cell": [
                f"{number(mean)} ({number(value)})" if not np.isnan(value) else number(mean)
                for mean, value in zip(rows["mean"], rows["published"])
            ],
        }
    )
    wide = frame.pivot(index=["transformation", "method"], columns="metric", values="cell")
    order = frame[["transformation", "method"]].drop_duplicates()
    order["at"] = order["transformation"].map({name: place for place, name in enumerate(TRANSFORM_NAMES.values())})
    order = order.sort_values("at", kind="stable")[["transformation", "method"]]
    columns = [METRIC_NAMES[name] for name in scores.FIDELITY]
    flat = wide.reindex(pd.MultiIndex.from_frame(order))[columns].reset_index()
    caption = (
        f"Fidelity on transformed images, four settings averaged; in brackets the paper's, as fractions, with AD and D "
        f"as defined: {_counted(rows, bench)}. Intervals are in the recorded CSV."
    )
    return show(blank_repeats(flat, ["transformation"]), caption, text=["transformation", "method"])


def sanity(bench: Bench) -> HTML:
    """Parameter randomisation, which the paper discusses and prints no value of."""
    rows = printed.unprinted(bench, scores.SANITY)
    orders = {"parameter-randomisation": "head downwards", "parameter-randomisation-independent": "one part at a time"}
    frame = pd.DataFrame(
        {
            "weights replaced": rows["metric"].map(orders),
            "method": rows["method"].map(METHOD_NAMES),
            "rank correlation ↓": [number(value) for value in rows["mean"]],
            "95 % interval": [interval(*pair) for pair in zip(rows["low"], rows["high"])],
            "undefined": rows["n_undefined"],
        }
    )
    caption = f"Maps before and after the weights were replaced: {bench.run.label}, {rows['n_images'].max()} images."
    return show(blank_repeats(frame, ["weights replaced"]), caption, text=["weights replaced", "method"])


def unprinted(bench: Bench) -> HTML:
    """Metrics that the paper defines without printing a value, and what a data set's masks say."""
    names = scores.present(bench, scores.WITHOUT_VALUE)
    wide = printed.leaderboard(bench, names)
    flat = pd.DataFrame({"method": wide["method"].map(METHOD_NAMES)})
    for name in names:
        flat[_title(name)] = [number(value, _digits(name, value)) for value in wide[printed.column(name)]]
    caption = f"Metrics without a published value, means unless stated: {bench.run.label}."
    return show(flat, caption, text=["method"])


def leaderboard(bench: Bench, names: tuple[str, ...] = scores.ALL) -> HTML:
    """Means of every method under every metric; the best method of each that looks at the network is starred."""
    names = scores.present(bench, names)
    wide = printed.leaderboard(bench, names).set_index("method")
    better = scores.directions(names)
    flat = pd.DataFrame(index=wide.index)
    for name in names:
        column = wide[printed.column(name)]
        informed = column[[method not in scores.UNINFORMED for method in column.index]]
        best = (informed.min() if better[name] == "lower" else informed.max()) if informed.notna().any() else None
        flat[_title(name)] = [
            number(value, _digits(name, value)) + (" *" if value == best and method in informed.index else "")
            for method, value in column.items()
        ]
    flat.insert(0, "method", [METHOD_NAMES[method] for method in flat.index])
    caption = (
        f"Every method under every metric, means unless stated: {bench.run.label}. A star marks the best that looks at "
        "the network."
    )
    return show(flat, caption, text=["method"])


def readings(bench: Bench) -> HTML:
    """How far other readings move the ranking: rank correlation with the paper's reading, and the method moved most."""
    rows = evidence.readings(bench)
    rows = rows[rows["reading"] != "paper"]
    lines = []
    for (metric, reading), group in rows.groupby(["metric", "reading"], sort=False):
        most = group.loc[group["moved"].idxmax()]
        lines.append(
            {
                "metric": METRIC_NAMES[metric],
                "reading": reading,
                "Kendall's τ with the paper's": number(group["tau"].iloc[0], 2),
                "methods that change place": f"{(group['moved'] > 0).sum()} of {len(group)}",
                "moved most": f"{METHOD_NAMES[most['method']]}, by {most['moved']:g}" if most["moved"] else MISSING,
            }
        )
    caption = (
        f"Rankings of the paper's methods and the controls in other readings of a metric: {bench.run.label}. Middle "
        "ranks for ties."
    )
    return show(blank_repeats(pd.DataFrame(lines), ["metric"]), caption, text=["metric", "reading", "moved most"])


def stability(bench: Bench) -> HTML:
    """Do images, halves of the images and trainings rank the methods alike?"""
    rows = evidence.stability(bench)
    frame = pd.DataFrame(
        {
            "metric": rows["metric"].map(METRIC_NAMES),
            "images": rows["n_images"],
            "agreement of images (Kendall's W)": [number(value, 2) for value in rows["w_images"]],
            "95 % interval": [interval(*pair, 2) for pair in zip(rows["low"], rows["high"])],
            "two halves of the images (τ)": [number(value, 2) for value in rows["tau_halves"]],
            "two trainings (τ)": [number(value, 2) for value in rows["tau_seeds"]],
        }
    )
    caption = f"Stability of the order of the {_informed(bench)} informed methods: {bench.run.label}."
    return show(frame, caption, text=["metric"])


def fooled(bench: Bench) -> HTML:
    """Which uninformed maps fool which metric."""
    rows = evidence.fooled(bench)
    frame = pd.DataFrame(
        {
            "metric": rows["metric"].map(METRIC_NAMES),
            "uninformed map": rows["control"].map(METHOD_NAMES),
            "better than a method (%)": [number(100 * value, 0) for value in rows["superiority"]],
            "95 % interval": [interval(100 * low, 100 * high, 0) for low, high in zip(rows["low"], rows["high"])],
            "rank": [_of(rank, n) for rank, n in zip(rows["rank"], rows["n_methods"])],
            "the metric is": rows["verdict"].where(rows["n_images"] > 0, "undefined"),
        }
    )
    caption = (
        f"Is the metric fooled? How often an uninformed map scores better than one of the {_informed(bench)} informed "
        f"methods on the same image: {bench.run.label}."
    )
    return show(blank_repeats(frame, ["metric"]), caption, text=["metric", "uninformed map", "the metric is"])


def discrimination(bench: Bench) -> HTML:
    """How many pairs of methods each metric tells apart."""
    rows = evidence.discrimination(bench)
    frame = pd.DataFrame(
        {
            "metric": rows["metric"].map(METRIC_NAMES),
            "images": rows["n_images"],
            "pairs told apart": [_of(apart, pairs) for apart, pairs in zip(rows["apart"], rows["pairs"])],
            "critical difference of mean ranks": [number(value, 2) for value in rows["critical_difference"]],
            "p (Friedman)": [p_value(value) for value in rows["p_value"]],
        }
    )
    caption = (
        f"Pairs of the {_informed(bench)} informed methods that a metric tells apart (Nemenyi): {bench.run.label}."
    )
    return show(frame, caption, text=["metric"])


def verdicts(bench: Bench) -> HTML:
    """Every takeaway of §5 with difference, interval, corrected p-value and verdict."""
    rows = results_of_verdicts(bench)
    frame = pd.DataFrame(
        {
            "claim": rows["text"],
            "section": rows["section"],
            "difference as claimed": [signed(value) for value in rows["difference"]],
            "95 % interval": [interval(*pair) for pair in zip(rows["low"], rows["high"])],
            "p (Holm)": [p_value(value) for value in rows["p_holm"]],
            "images": rows["n_images"],
            "verdict": rows["reason"],
        }
    )
    held = (rows["verdict"] == "holds").sum()
    reversed_ = (rows["verdict"] == "reverses").sum()
    caption = (
        f"Takeaways of §5 on {bench.run.label}: {held} hold, {reversed_} reverse, {len(rows) - held - reversed_} are "
        "undecided. A difference above zero supports the claim."
    )
    return show(frame, caption, text=["section", "verdict"], long=["claim"])


def _against_print(rows: pd.DataFrame, bench: Bench, title: str) -> HTML:
    rows = rows[rows["method"].isin(lineup.PAPER)]
    frame = pd.DataFrame(
        {
            "metric": rows["metric"].map(METRIC_NAMES),
            "method": rows["method"].map(METHOD_NAMES),
            "here": [plus_minus(mean, spread, _digits(metric, mean)) for metric, mean, spread in
                     zip(rows["metric"], rows["mean"], rows["spread"])],
            "95 % interval": [interval(low, high, _digits(metric, low)) for metric, low, high in
                              zip(rows["metric"], rows["low"], rows["high"])],
            "paper, as printed": rows["printed"].replace("", MISSING),
            "paper, in our unit": [number(value, _digits(metric, value)) for metric, value in
                                   zip(rows["metric"], rows["published"])],
            "difference": [signed(value, _digits(metric, value)) for metric, value in
                           zip(rows["metric"], rows["difference"])],
            "undefined": rows["n_undefined"],
        }
    )  # fmt: skip
    caption = f"{title}: {_counted(rows, bench)}. Paper: ResNet-50 on ImageNet."
    return show(blank_repeats(frame, ["metric"]), caption, text=["metric", "method"])


def _counted(rows: pd.DataFrame, bench: Bench) -> str:
    """On what the means are: networks, and the images that the best covered metric is defined on."""
    seeds, images = rows["n_seeds"].max(), rows["n_images"].max()
    return f"{bench.run.label}, {seeds} network{'s' if seeds > 1 else ''}, up to {images} images each"


def _informed(bench: Bench) -> int:
    return len(scores.informed(bench))


def _of(part: float, whole: float) -> str:
    return MISSING if np.isnan(part) else f"{part:g} of {whole:g}"


def _title(metric: str) -> str:
    return METRIC_NAMES[metric] + (", median" if metric in scores.BY_MEDIAN else "")


def _digits(metric: str, value: float) -> int:
    return 1 if metric in _PIXELS or abs(value) >= 100 else 3
