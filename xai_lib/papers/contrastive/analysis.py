"""The contrastive paper's tables, computed from a run: plain numbers, one tidy frame a function."""

import itertools

import pandas as pd
import torch
from sklearn.manifold import TSNE
from torch import Tensor

from xai_lib import explainers, metrics, published, statistics
from xai_lib.data.split import first_of_each_class
from xai_lib.papers.contrastive import experiment, method
from xai_lib.papers.contrastive.claims import METHODS as IN_PRINT
from xai_lib.papers.contrastive.claims import READINGS
from xai_lib.papers.contrastive.method import METHODS
from xai_lib.run.networks import some, trained
from xai_lib.run.settings import LOSSES, Settings

# The paper's metrics, then ours, in the order of the page; those a data set cannot give are left out.
METRICS = (
    *("pixel-flipping", "pixel-flipping-matched", "continuity", "continuity-released"),
    *("contrastivity", "contrastivity-empty-kept", "complexity", "sparseness"),
    *("pointing-game", "attribution-localisation", "attribution-localisation-paper"),
)
_T_SNE_IMAGES = 500


def accuracy(run: Settings) -> pd.DataFrame:
    """Table 3: a row a loss and quantity (accuracy, confidence), and the published one for CIFAR-10, as fractions."""
    outputs = experiment.predictions(run).rename(columns={"correct": "accuracy"}).astype({"accuracy": float})
    tidy = outputs.melt(["loss", "seed", "index"], ["accuracy", "confidence"], var_name="metric")
    summary = statistics.summarise(tidy, by=("metric", "loss"), ranges=(0.0, 1.0))
    return _in_order(published.compare(_cifar10(3), summary))


def results(run: Settings) -> pd.DataFrame:
    """Table 4: one row a metric, method and loss, as :func:`statistics.summarise`, and CIFAR-10's published value."""
    scores = experiment.scores(run)
    summary = statistics.summarise(scores[scores["metric"].isin(METRICS)], ranges=metrics.ranges())
    printed = _cifar10(4).replace({"method": {"eigen-cam": "eigen-cam-tool"}})
    return _in_order(published.compare(printed, summary))


def orders(run: Settings) -> pd.DataFrame:
    """The losses from best to worst, here and in print (CIFAR-10): metric, method, here, paper, pairs, agree.

    Each reading of a metric is held against the printed row that it may stand for. ``pairs`` counts the pairs of losses
    that print tells apart, ``agree`` those that stand in the same order here; a random order would give half of them.
    """
    rows, printed = [], _cifar10(4).set_index(["metric", "method", "loss"])["value"].sort_index()
    for (metric, name), group in results(run).groupby(["metric", "method"], sort=False):
        # the text's Eigen-CAM is held against the order in print too, which is the tool's
        where = READINGS.get(metric, metric), IN_PRINT.get(name, name)
        if where in printed.index.droplevel("loss"):
            sign = 1 if metrics.about(where[0]).better == "lower" else -1
            ours, theirs = sign * group.set_index("loss")["mean"], sign * printed[where]
            apart = [(a, b) for a, b in itertools.permutations(LOSSES, 2) if theirs[a] < theirs[b]]
            agree = sum(bool(ours[a] < ours[b]) for a, b in apart)
            rows.append((metric, name, _best_first(ours), _best_first(theirs[list(LOSSES)]), len(apart), agree))
    return pd.DataFrame(rows, columns=["metric", "method", "here", "paper", "pairs", "agree"])


def quantus(run: Settings) -> pd.DataFrame:
    """Means by the authors' tools beside ours, on the images that they scored: metric, method, loss.

    ``ours``; ``quantus`` scores our maps, and ``correlation`` is its rank correlation with ours over images;
    ``tools`` scores pytorch-grad-cam's maps.
    """
    scores, keys = experiment.scores(run), ["metric", "method", "loss", "seed", "index"]

    def by(suffix: str) -> pd.DataFrame:
        theirs = scores[scores["metric"].str.endswith(suffix)]
        return theirs.assign(metric=theirs["metric"].str.removesuffix(suffix))

    both = scores.merge(by(" (quantus)"), on=keys, suffixes=("_ours", "_quantus"))
    both = both.merge(by(" (both tools)").rename(columns={"value": "value_tools"}), on=keys, how="left")
    grouped = both.groupby(["metric", "method", "loss"])
    names = ["ours", "quantus", "tools"]
    means = grouped[[f"value_{name}" for name in names]].mean().set_axis(names, axis=1)
    both_values = (group[["value_ours", "value_quantus"]].to_numpy().T for _, group in grouped)
    means["correlation"] = [statistics.rank_agreement(*pair, kind="spearman") for pair in both_values]
    return _in_order(means.assign(n_images=grouped["index"].nunique()).reset_index())


def removal(run: Settings) -> pd.DataFrame:
    """Pixel flipping in three orders, on the first images: method, loss, most, random (the network alone), least."""
    names = {"pixel-flipping-matched": "most", "pixel-flipping-random-order": "random"}
    names["pixel-flipping-least-first"] = "least"
    scores = experiment.scores(run)
    wide = scores.pivot(index=["method", "loss", "seed", "index"], columns="metric", values="value")[list(names)]
    return _in_order(wide.dropna().rename(columns=names).groupby(["method", "loss"]).mean().reset_index())


def noise(run: Settings) -> pd.DataFrame:
    """Continuity at each strength of noise, mean over seeds and the first images: method, loss, sigma, value."""
    scores = experiment.scores(run).dropna(subset="value")
    names = {f"continuity {sigma}": sigma for sigma in method.SIGMAS} | {"continuity": method.SIGMA}
    first = scores.loc[scores["metric"] == f"continuity {method.SIGMAS[0]}", "index"].unique()
    rows = scores[scores["metric"].isin(names) & scores["index"].isin(first)]
    rows = rows.assign(sigma=rows["metric"].map(names))
    return _in_order(rows.groupby(["method", "loss", "sigma"])["value"].mean().reset_index())


def contrastivity(run: Settings) -> pd.DataFrame:
    """Why similarity between classes is near 0: loss, mean, negative (share of images), size (mean of |SSIM|)."""
    scores = experiment.scores(run).query("metric == 'contrastivity'").dropna(subset="value")
    grouped = scores.assign(negative=scores["value"] < 0, size=scores["value"].abs()).groupby("loss")
    means = grouped.agg(mean=("value", "mean"), negative=("negative", "mean"), size=("size", "mean"))
    return _in_order(means.reset_index())


def controls(run: Settings) -> pd.DataFrame:
    """What maps without information score, whatever the network: metric, random, uniform (means over images)."""
    split = run.scored_split()
    maps = {"random": explainers.get("random")(None, split.images, seed=0, index=split.index)}
    maps["uniform"] = explainers.get("uniform")(None, split.images)
    scored = pd.DataFrame({name: method.of_shape(one, split) for name, one in maps.items()})
    return scored.map(lambda values: float(values.mean())).rename_axis("metric").reset_index()


def empty_maps(run: Settings) -> pd.DataFrame:
    """Share of empty maps, of the predicted and of the other class: method, loss, predicted, other."""
    shares = experiment.scores(run).pivot_table("value", ["method", "loss"], "metric")
    names = {"empty-map": "predicted", "empty-map-of-other-class": "other"}
    return _in_order(shares[list(names)].set_axis(names.values(), axis=1).reset_index())


def histories(run: Settings) -> pd.DataFrame:
    """Every epoch of every training: loss_name, seed, and the columns of a training's history."""
    networks = itertools.product(LOSSES, run.seeds)
    parts = [trained(run, loss, seed).history.assign(loss_name=loss, seed=seed) for loss, seed in networks]
    return pd.concat(parts, ignore_index=True)


def embedding(run: Settings, seed: int) -> pd.DataFrame:
    """Features of test images in two dimensions by t-SNE: loss, x, y, label."""
    parts, chosen = [], some(run.test_split(), _T_SNE_IMAGES).index  # of every class: data is often sorted by class
    for loss in LOSSES:
        outputs = experiment.predicted(run, loss, seed)
        shown = torch.isin(outputs.index, chosen)
        embed = TSNE(perplexity=min(30, int(shown.sum()) // 4), random_state=0)
        x, y = embed.fit_transform(outputs.features[shown].numpy()).T
        parts.append(pd.DataFrame({"x": x, "y": y, "label": outputs.labels[shown]}).assign(loss=loss))
    return pd.concat(parts, ignore_index=True)


def overlays(run: Settings, n: int, seed: int) -> tuple[Tensor, dict[tuple[str, str], Tensor], list[str]]:
    """Pictures [n,3,H,W] in [0,1], maps [n,H,W] in [0,1] by (loss, method), and the true class of each.

    The first image of each of the first ``n`` classes, so that nobody chose them.
    """
    split = run.scored_split()
    first, size = first_of_each_class(split.labels, n), split.images.shape[-2:]
    maps = {
        (loss, name): method.scaled(experiment.explained(run, loss, seed, name)["maps"][first], size)
        for loss, name in itertools.product(LOSSES, METHODS)
    }
    return split.images[first].float() / 255, maps, [split.classes[label] for label in split.labels[first].tolist()]


def _cifar10(number: int) -> pd.DataFrame:
    """The paper's rows for CIFAR-10: other images than a run's, but the nearest in print."""
    printed = published.table("contrastive", number)
    return printed[printed["dataset"] == "cifar10"]


def _best_first(values: pd.Series) -> str:
    """Losses from the smallest value to the largest, "=" between equal ones."""
    ordered = values.sort_values(kind="stable")
    signs = [" = " if a == b else ", " for a, b in itertools.pairwise(ordered)]
    return "".join(loss.upper() + sign for loss, sign in zip(ordered.index, [*signs, ""]))


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the page: metrics, then methods, then losses."""
    ranks = {"metric": ("accuracy", "confidence", *METRICS), "method": METHODS, "loss": LOSSES}
    order = [name for name in ranks if name in frame]
    return frame.sort_values(order, key=lambda names: names.map(ranks[names.name].index)).reset_index(drop=True)
