"""Tables of the whole-output notebooks: outputs and their scores, then documents and their clusters."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from IPython.display import HTML

from xai_lib.page import table
from xai_lib.page.names import CONTRASTIVE_NAMES, METHOD_NAMES, WHOLE_OUTPUT_NAMES, network_name
from xai_lib.page.table import MISSING, Column, each, ends, interval, number, part_of, show, text
from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.analysis import clusters, scores
from xai_lib.papers.whole_output.method.base_maps import Variant
from xai_lib.run.settings import Study

_DIGITS = {"cauc": (4, 1), "cdrop": (3, 1), "salient-share": (1, 100)}  # and what the metric is multiplied by


def _with_digits(of: Callable[..., table.Format]) -> table.Format:
    """Format of (metric, …): the rest with the digits of the metric."""
    return lambda metric, *values: of(_DIGITS[metric][0], times=_DIGITS[metric][1])(*values)


def _over_images(title: str, name: str, of: Callable[[int], table.Format], digits: int = 3) -> list[Column]:
    """Columns of a mean, or of a paired difference, over images."""
    return [Column(title, name, of(digits)), ends(digits), *each(number(0), n_images="images")]


def _as_printed(metric: str, value: str, share: float) -> str:
    """What print has, a number of pixels with its share of the image."""
    return f"{value} of 50,176 ({100 * share:.1f})" if value and metric == "salient-share" else value or MISSING


def _orders(ours: float, in_print: float) -> str:
    """Places, 1 the best, here and in print."""
    return MISSING if pd.isna(in_print) or pd.isna(ours) else f"{ours:.0f} / {in_print:.0f}"


_METRIC = text("metric", "metric", CONTRASTIVE_NAMES)
_NETWORK = text("network", "model", lambda model: network_name(model) or "ours")
_BASE = text("base", "base", METHOD_NAMES)
_METHOD = text("method", "method", WHOLE_OUTPUT_NAMES)
_BESIDE = [
    Column("here", ("metric", "mean", "spread"), _with_digits(table.plus_minus)),
    Column("95 % interval", ("metric", "low", "high"), _with_digits(interval)),
    Column("paper, as printed", ("metric", "printed", "published"), _as_printed),
    Column("place here / in print", ("order", "printed_order"), _orders),
    Column("undefined", "n_undefined"),
]

_CLUSTERING = text("clustering", "clustering")
_WHAT = {"halves": "two halves of the documents", "bootstrap": "all documents, resampled", "seeds": "other seeds of EM"}
_CORPORA = [text("documents of", "network"), *each(None, documents="images", of_one="of one class")]
_CORPORA += each(number(2), mean_length="classes in the others, mean")
_CORPORA += each(None, longest="longest", clusters="clusters", largest="largest", alone="classes alone")


def outputs(study: Study) -> HTML:
    """How many classes stand at the top of the outputs that are explained."""
    columns = [text("network", "network"), *each(None, images="images")]
    columns += [*each(number(1, times=100), accuracy="accuracy (%)"), *each(number(2), top_classes="top classes, mean")]
    columns += each(number(0, times=100), one="a single one (%)", several_clusters="in several clusters (%)")
    columns += each(None, explained="images with a pair", pairs="pairs")
    caption = (
        f"Outputs that are explained: {study.run.label}. Top classes: as many as have more than 0.95 of the "
        "probability, at most 5. A pair: a class and the other top classes of its confusion cluster."
    )
    return show(scores.outputs(study), columns, caption, name="outputs")


def effect_of_clusters(study: Study) -> HTML:
    """What other clusters do to the maps."""
    columns = [_NETWORK, _BASE, _CLUSTERING, Column("correlation with the latent tree's map", "same_map", number(2))]
    columns += [Column("CDROP ↑", "mean", number()), *_over_images("gain", "difference", table.signed)]
    caption = (
        f"CWOX-2s under other clusters, on the same images and the same pairs, those of the latent tree: "
        f"{study.run.label}. Gain: of CDROP against the latent tree's clusters."
    )
    return show(clusters.effect_of_clusters(study), columns, caption, name="effect", group=["network", "base"])


def bases(study: Study) -> HTML:
    """The base explainers' settings in both stages and both variants."""
    rows = []
    for variant in ("paper", "released"):
        for base in experiment.bases_of(study, study.networks[0], variant):
            stages = (", ".join(f"{k} {v}" for k, v in stage.items()) for stage in (base.first, base.second))
            rows.append((variant, base.name, *stages, base.scale))
    rows = pd.DataFrame(rows, columns=["variant", "base", "first", "second", "scaled"])
    stages = (text("first stage", "first"), text("second stage", "second"))
    columns = [text("variant", "variant"), _BASE, *stages, text("scaled", "scaled")]
    return show(rows, columns, f"Base explainers: {study.run.label}.", name="bases", group=["variant"])


def methods(study: Study, metric: str) -> HTML:
    """Tables 1 ("cauc") and 2 ("cdrop"): the methods beside print."""
    rows, number_of = scores.methods(study, metric), scores.TABLES[metric]
    up_to = " up to the fewest salient pixels of its four methods (in Table 3: of four bases)" * (metric == "cauc")
    caption = (
        f"Table {number_of}: {metric.upper()}{up_to}, {scores.BETTER[metric]} is better: {_counted(rows, study)}, "
        f"variant “paper”. The last three rows of a base are ours. Paper: {_paper(rows)}; values of other images and "
        "sizes are not comparable, their order is."
    )
    columns = [_NETWORK, _BASE, _METHOD, *_BESIDE]
    return show(rows, columns, caption, name=f"table-{number_of}", group=["network", "base"])


def table_3(study: Study) -> HTML:
    """CWOX-2s by base explainer, beside print."""
    rows = scores.bases(study)
    caption = (
        f"Table 3: base explainers of CWOX-2s: {_counted(rows, study)}. CAUC up to the fewest salient pixels of "
        f"the four; salient pixels in per cent of the image. Paper: {_paper(rows)}."
    )
    return show(rows, [_NETWORK, _METRIC, _BASE, *_BESIDE], caption, name="table-3", group=["network", "metric"])


def degenerate(study: Study, variant: Variant = "paper") -> HTML:
    """Maps without a salient pixel, which would have had the best CAUC there is; recorded with those of noise."""
    rows = scores.degenerate(study, variant)
    shown = rows[rows["method"] != "random"]
    wide = shown.set_index(["method", "base"]).unstack("base", sort=False).reset_index()
    wide.columns = ["-".join(filter(None, names)) for names in wide.columns]
    columns = [Column(METHOD_NAMES[b], (f"degenerate-{b}", f"maps-{b}"), part_of) for b in shown["base"].unique()]
    caption = f"Maps without a positive value, left out of the means: {study.run.label}, variant “{variant}”."
    name = "degenerate" + "-released" * (variant == "released")
    return show(wide, [_METHOD, *columns], caption, name=name, behind=rows)


def shares_of_the_gain(study: Study) -> HTML:
    """Two stages, or finer maps?"""
    columns = [_METRIC, _NETWORK, _BASE, text("gain of", "step"), *_over_images("gain", "difference", table.signed, 4)]
    left_out = "Explainers with the same settings in both stages are left out."
    caption = f"Gains on the same pairs, above zero better: {study.run.label}. {left_out}"
    return show(scores.shares_of_the_gain(study), columns, caption, name="gain", group=["metric", "network", "base"])


def variants(study: Study) -> HTML:
    """The paper's equations beside the released code's."""
    titles = {"paper": "paper's equations", "released": "released code's"}
    both = [Column(title, ("metric", variant), _with_digits(number)) for variant, title in titles.items()]
    columns = [_METRIC, _NETWORK, _BASE, _METHOD, *both]
    caption = f"The same images by the paper's equations and as the released code has them: {study.run.label}."
    return show(scores.variants(study), columns, caption, name="variants", group=["metric", "network", "base"])


def epsilons(study: Study) -> HTML:
    """What ε in Equation 2 does."""
    epsilon = Column("ε, share of the cluster map's maximum", "epsilon")
    columns = [epsilon, *each(number(1, times=100), salient="salient pixels (%)")]
    columns += [Column("empty maps", ("degenerate", "maps"), part_of)]
    where = f"{study.run.label}, one network, the first 100 images"
    caption = f"ε in Equation 2, CWOX-2s with Grad-CAM, classes alone in one of several clusters: {where}."
    return show(scores.epsilons(study, "grad-cam", 100), columns, caption)


def planted(study: Study, metric: str) -> HTML:
    """Is a map where planted images say it should be?"""
    of = {
        "part-energy": "the image's own class and its look-alike: share of a map's energy in the part that differs",
        "own-object": "two objects whose classes are in one cluster: of a map's energy in both, the share in its own",
    }
    caption = f"Pairs of {of[metric]}, {study.run.label}."
    columns = [_BASE, _METHOD, *_over_images("share of the energy", "mean", number)]
    return show(scores.planted(study, metric), columns, caption, name=metric, group=["base"])


def matching(study: Study) -> HTML:
    """The simulated observer; what people scored is in :func:`people`."""
    measures = {"matching-accuracy": "matched by another network ↑", "overlap": "overlap ↓"}
    columns = [text("measure", "metric", measures), _NETWORK, _BASE, text("maps", "method", WHOLE_OUTPUT_NAMES)]
    columns += [*_over_images("mean", "mean", number), Column("undefined", "n_undefined")]
    caption = (
        "The maps of a cluster's two most probable classes: a simulated observer matches them with the classes (0.5 is "
        f"guessing), and the salient pixels of both as a share of those of either: {study.run.label}."
    )
    return show(scores.matching(study), columns, caption, name="matching", group=["measure", "network", "base"])


def people() -> HTML:
    """Tables 4 and 5 as printed."""
    wide = scores.people().pivot(index=["group", "metric"], columns="method", values="printed").reset_index()
    measures = {"matching-accuracy": "matched", "rated-confidence": "confidence, 1 to 5"}
    methods = [Column(WHOLE_OUTPUT_NAMES[method], method) for method in ("swox", "cwox-1sb", "cwox-2s")]
    columns = [text("group", "group"), text("measure", "metric", measures), *methods]
    caption = "Tables 4 and 5: people, as printed (60 in each group, RISE, ± 95 % interval). Not measured here."
    return show(wide, columns, caption, group=["group"])


def corpora(study: Study) -> HTML:
    """Documents and clusters of each network."""
    rows = clusters.corpora({explained.name: explained.corpus for explained in study.networks})
    caption = f"Documents and level-1 clusters: {study.run.label}."
    return show(rows, _CORPORA, caption, name="corpora")


def corpus(one: experiment.Corpus) -> HTML:
    """Documents and clusters of one collection."""
    return show(clusters.corpora({one.label: one}), _CORPORA, "Documents and level-1 clusters.", name="corpus")


def strongest(one: experiment.Corpus) -> HTML:
    """The clusters that hold most documents together."""
    columns = [Column("classes", "classes", kind="long")]
    columns += each(None, size="size", documents="documents with two or more of them")
    caption = f"The clusters with most documents: {one.label}."
    return show(clusters.strongest(one, 20), columns, caption, name="strongest")


def paper_examples(one: experiment.Corpus, steps: np.ndarray | None = None) -> HTML:
    """Are the paper's examples of confusing classes in one cluster? And how far apart does WordNet have them?"""

    def found(together: int, size: int) -> str:
        return "yes" if together == size else "no" if together == 1 else part_of(together, size)

    columns = [text("classes", "classes"), text("in the paper", "section")]
    columns.append(text("in one cluster here", ("together", "size"), found))
    if steps is not None:
        said = lambda far, nearer: f"{far} ({number(1, times=100)(nearer)})"  # noqa: E731
        columns.append(Column("steps in WordNet (pairs as near, %)", ("steps", "nearer"), said))
    caption = f"Classes that the paper has confused with each other: {one.label}."
    return show(clusters.paper_examples(one, steps), columns, caption, name="examples")


def against_wordnet(one: experiment.Corpus, steps: np.ndarray) -> HTML:
    """How far apart in WordNet are classes of one cluster?"""
    columns = [text("clusters of", "clustering"), *each(None, clusters="clusters", pairs="pairs in one cluster")]
    columns += each(number(0), steps="steps in WordNet, median")
    columns += [*each(number(1, times=100), siblings="siblings (%)"), *each(number(2), ari="ARI with WordNet's")]
    caption = f"Pairs of classes in one cluster, by the steps between them in WordNet: {one.label}."
    return show(clusters.against_wordnet(one, steps), columns, caption, name="wordnet")


def against_truth(study: Study) -> HTML:
    """Are the planted clusters found?"""
    columns = [text("network", "network"), _CLUSTERING, *each(number(2), ari="ARI with the truth")]
    columns += each("{} of 4".format, pairs="planted pairs together", exact="and alone")
    columns += each(None, clusters="clusters (truth: 6)")
    caption = "Planted, and found again or not: three look-alike pairs and a pair that keeps company."
    return show(clusters.against_truth(study), columns, caption, group=["network"])


def stability(one: experiment.Corpus, repeats: int) -> HTML:
    """How firm the clusters are."""
    columns = [_CLUSTERING, text("compared", "what", _WHAT), *each(None, repeats="repeats")]
    columns += each(number(2), ari="ARI, mean", low="smallest", high="largest")
    caption = f"Clusters made again: {one.label}."
    return show(clusters.stability(one, repeats), columns, caption, name="stability", group=["clustering"])


def clusterings(one: experiment.Corpus, repeats: int) -> HTML:
    """Other clusterings of the same documents, and what would change for images."""
    columns = [_CLUSTERING, *each(None, clusters="clusters", largest="largest")]
    columns += each(number(2), ari="ARI with the latent tree")
    columns += each(number(0, times=100), changed="images whose clusters change (%)", together="pairs put alike (%)")
    caption = f"Other clusterings of the same documents: {one.label}."
    return show(clusters.clusterings(one, repeats), columns, caption, name="clusterings")


def _counted(rows: pd.DataFrame, study: Study) -> str:
    n = len(study.networks)
    return f"{study.run.label}, {n} network{'s' if n > 1 else ''}, up to {rows['n_images'].max()} images each"


def _paper(rows: pd.DataFrame) -> str:
    return f"{'the same network' if set(rows['model']) <= {'resnet50', 'googlenet'} else 'ResNet-50'} on ImageNet"
