"""Tables of the whole-output notebooks."""

from functools import partial

import pandas as pd
from IPython.display import HTML

from xai_lib.page.errata import errata as notes
from xai_lib.page.names import CONTRASTIVE_NAMES, METHOD_NAMES, WHOLE_OUTPUT_NAMES
from xai_lib.page.table import MISSING, blank_repeats, interval, number, p_value, plus_minus, show, signed
from xai_lib.page.verdicts import verdict_rule as verdict_rule
from xai_lib.papers.whole_output import experiment
from xai_lib.papers.whole_output.analysis import evidence, printed, scores
from xai_lib.papers.whole_output.claims import verdicts as results_of_verdicts
from xai_lib.papers.whole_output.experiment.documents import Corpus
from xai_lib.papers.whole_output.experiment.explanations import Study

errata = partial(notes, "whole_output")

_DIGITS = {"cauc": 4, "cdrop": 3, "salient-pixels": 0}
_MODELS = {"": "ours", "resnet50": "ResNet-50", "googlenet": "GoogLeNet"}
_WHAT = {"halves": "two halves of the documents", "bootstrap": "all documents, resampled", "seeds": "other seeds of EM"}
_STAGES = ("first stage", "second stage")


def outputs(study: Study) -> HTML:
    """How many classes stand at the top of the outputs that are explained."""
    rows = scores.outputs(study)
    frame = pd.DataFrame(
        {
            "network": rows["network"],
            "images": rows["images"],
            "accuracy (%)": [number(100 * value, 1) for value in rows["accuracy"]],
            "top classes, mean": [number(value, 2) for value in rows["top_classes"]],
            "a single one (%)": [number(100 * value, 0) for value in rows["one"]],
            "in several clusters (%)": [number(100 * value, 0) for value in rows["several_clusters"]],
            "images with a pair": rows["explained"],
            "pairs": rows["pairs"],
        }
    )
    caption = (
        f"Outputs that are explained: {study.run.label}. Top classes: as many as have more than 0.95 of the "
        "probability, at most 5. A pair: a class and the other top classes of its confusion cluster."
    )
    return show(frame, caption, text=["network"])


def corpora(study: Study) -> HTML:
    """Documents and clusters of each network."""
    return _corpora(evidence.corpora(study), f"Documents and level-1 clusters: {study.run.label}, training images.")


def corpus(one: Corpus) -> HTML:
    """Documents and clusters of one collection."""
    rows = pd.DataFrame([evidence.corpus_row(one) | {"network": one.label}])
    return _corpora(rows, "Documents and level-1 clusters.")


def strongest(one: Corpus, n: int = 12) -> HTML:
    """The clusters that hold most documents together."""
    rows = evidence.strongest(one, n)
    frame = rows.rename(columns={"documents": "documents with two or more of them"})
    return show(frame, f"The clusters with most documents: {one.label}.", text=["classes"], long=["classes"])


def paper_examples(one: Corpus) -> HTML:
    """Are the paper's examples of confusing classes in one cluster?"""
    rows = evidence.paper_examples(one)
    found = [
        "yes" if together == size else "no" if together == 1 else f"{together} of {size}"
        for together, size in zip(rows["together"], rows["size"])
    ]
    frame = pd.DataFrame({"classes": rows["classes"], "in the paper": rows["section"], "in one cluster here": found})
    text = ["classes", "in the paper", "in one cluster here"]
    return show(frame, f"Classes that the paper has confused with each other: {one.label}.", text=text)


def against_truth(study: Study) -> HTML:
    """Are the planted clusters found?"""
    rows = evidence.against_truth(study)
    frame = pd.DataFrame(
        {
            "network": rows["network"],
            "clustering": rows["clustering"],
            "ARI with the truth": [number(value, 2) for value in rows["ari"]],
            "planted pairs together": [f"{value} of 4" for value in rows["pairs"]],
            "and alone": [f"{value} of 4" for value in rows["exact"]],
            "clusters (truth: 6)": rows["clusters"],
        }
    )
    caption = "Planted, and found again or not: three look-alike pairs and a pair that keeps company."
    return show(blank_repeats(frame, ["network"]), caption, text=["network", "clustering"])


def stability(one: Corpus, repeats: int) -> HTML:
    """How firm the clusters are."""
    rows = evidence.stability(one, repeats)
    frame = pd.DataFrame(
        {
            "clustering": rows["clustering"],
            "compared": rows["what"].map(_WHAT),
            "repeats": rows["repeats"],
            "ARI, mean": [number(value, 2) for value in rows["ari"]],
            "smallest": [number(value, 2) for value in rows["low"]],
            "largest": [number(value, 2) for value in rows["high"]],
        }
    )
    caption = f"Clusters made again: {one.label}."
    return show(blank_repeats(frame, ["clustering"]), caption, text=["clustering", "compared"])


def clusterings(one: Corpus, repeats: int) -> HTML:
    """Other clusterings of the same documents, and what would change for images."""
    rows = evidence.clusterings(one, repeats)
    frame = pd.DataFrame(
        {
            "clustering": rows["clustering"],
            "clusters": rows["clusters"],
            "largest": rows["largest"],
            "ARI with the latent tree": [number(value, 2) for value in rows["ari"]],
            "images whose clusters change (%)": [number(100 * value, 0) for value in rows["changed"]],
            "pairs put alike (%)": [number(100 * value, 0) for value in rows["together"]],
        }
    )
    return show(frame, f"Other clusterings of the same documents: {one.label}.", text=["clustering"])


def effect_of_clusters(study: Study) -> HTML:
    """What other clusters do to the maps."""
    rows = evidence.effect_of_clusters(study)
    names = {"cdrop": CONTRASTIVE_NAMES["cdrop"], "same-map": "correlation with the latent tree's map"}
    frame = pd.DataFrame(
        {
            "measured": rows["metric"].map(names),
            "clustering": rows["clustering"],
            "mean": [number(value) for value in rows["mean"]],
            "95 % interval": [interval(low, high) for low, high in zip(rows["low"], rows["high"])],
            "images": rows["n_images"],
        }
    )
    caption = f"CWOX-2s with Grad-CAM under other clusters: {study.run.label}."
    return show(blank_repeats(frame, ["measured"]), caption, text=["measured", "clustering"])


def bases(study: Study) -> HTML:
    """The base explainers' settings in both stages and both variants."""
    rows = []
    for variant in ("paper", "released"):
        for base in experiment.bases_of(study, study.networks[0], variant):
            line = {"variant": variant, "base": METHOD_NAMES[base.name]}
            for stage, settings in zip(_STAGES, (base.first, base.second)):
                line[stage] = ", ".join(f"{key} {value}" for key, value in settings.items())
            rows.append(line | {"scaled": base.scale})
    caption = f"Base explainers: {study.run.label}."
    return show(blank_repeats(pd.DataFrame(rows), ["variant"]), caption, text=["variant", "base", *_STAGES, "scaled"])


def table_1(study: Study, variant: str = "paper") -> HTML:
    """CAUC of the methods beside print."""
    return _methods(study, "cauc", "Table 1: CAUC, lower is better", variant)


def table_2(study: Study, variant: str = "paper") -> HTML:
    """CDROP of the methods beside print."""
    return _methods(study, "cdrop", "Table 2: CDROP, higher is better", variant)


def table_3(study: Study, variant: str = "paper") -> HTML:
    """CWOX-2s by base explainer, beside print."""
    rows = printed.bases(study, variant)
    frame = pd.DataFrame({"network": rows["model"].map(_MODELS), "metric": rows["metric"].map(CONTRASTIVE_NAMES),
                          "base": rows["base"].map(METHOD_NAMES)} | _beside(rows))  # fmt: skip
    caption = (
        f"Table 3: base explainers of CWOX-2s: {_counted(rows, study)}. CAUC up to the fewest salient pixels of "
        f"the four. Paper: {_paper(rows)}."
    )
    return show(blank_repeats(frame, ["network", "metric"]), caption, text=["network", "metric", "base"])


def degenerate(study: Study, variant: str = "paper") -> HTML:
    """Maps without a salient pixel, which would have had the best CAUC there is."""
    rows = scores.degenerate(study, variant)
    rows = rows[rows["method"] != "random"]
    wide = rows.assign(cell=[f"{bad} of {maps}" for bad, maps in zip(rows["degenerate"], rows["maps"])])
    table = wide.pivot(index="method", columns="base", values="cell")
    order = list(dict.fromkeys(rows["method"]))
    table = table.reindex(index=order, columns=list(dict.fromkeys(rows["base"])))
    table.columns = [METHOD_NAMES[name] for name in table.columns]
    table.insert(0, "method", [WHOLE_OUTPUT_NAMES[name] for name in order])
    caption = f"Maps without a positive value, left out of the means: {study.run.label}, variant “{variant}”."
    return show(table, caption, text=["method"])


def shares_of_the_gain(study: Study) -> HTML:
    """Two stages, or finer maps?"""
    rows = evidence.shares_of_the_gain(study)
    frame = pd.DataFrame(
        {
            "metric": rows["metric"].map(CONTRASTIVE_NAMES),
            "network": rows["model"].map(_MODELS),
            "base": rows["base"].map(METHOD_NAMES),
            "step": rows["step"],
            "gain": [signed(value, 4) for value in rows["difference"]],
            "95 % interval": [interval(low, high, 4) for low, high in zip(rows["low"], rows["high"])],
            "images": rows["n_images"],
        }
    )
    caption = f"From CWOX-1sA to CWOX-2s in two steps, above zero is better: {study.run.label}."
    return show(
        blank_repeats(frame, ["metric", "network", "base"]), caption, text=["metric", "network", "base", "step"]
    )


def variants(study: Study) -> HTML:
    """The paper's equations beside the released code's."""
    rows = evidence.variants(study)
    frame = pd.DataFrame(
        {
            "metric": rows["metric"].map(CONTRASTIVE_NAMES),
            "network": rows["model"].map(_MODELS),
            "base": rows["base"].map(METHOD_NAMES),
            "method": rows["method"].map(WHOLE_OUTPUT_NAMES),
            "paper's equations": [number(v, _DIGITS[m]) for m, v in zip(rows["metric"], rows["paper"])],
            "released code's": [number(v, _DIGITS[m]) for m, v in zip(rows["metric"], rows["released"])],
        }
    )
    caption = f"The same images by the paper's equations and as the released code has them: {study.run.label}."
    return show(
        blank_repeats(frame, ["metric", "network", "base"]), caption, text=["metric", "network", "base", "method"]
    )


def epsilons(study: Study, base: str = "grad-cam", n: int = 100) -> HTML:
    """What ε in Equation 2 does."""
    rows = evidence.epsilons(study, base, n)
    frame = pd.DataFrame(
        {
            "ε, share of the cluster map's maximum": rows["epsilon"],
            "CDROP ↑": [number(value) for value in rows["mean"]],
            "95 % interval": [interval(low, high) for low, high in zip(rows["low"], rows["high"])],
            "images": rows["n_images"],
            "empty maps": [f"{bad} of {maps}" for bad, maps in zip(rows["degenerate"], rows["maps"])],
        }
    )
    return show(frame, f"ε in Equation 2, CWOX-2s with {METHOD_NAMES[base]}: {study.run.label}, one network.")


def part_energy(study: Study) -> HTML:
    """Does a map light up what tells look-alikes apart?"""
    rows = evidence.part_energy(study)
    frame = pd.DataFrame(
        {
            "base": rows["base"].map(METHOD_NAMES),
            "method": rows["method"].map(WHOLE_OUTPUT_NAMES),
            "share of the energy": [number(value) for value in rows["mean"]],
            "95 % interval": [interval(low, high) for low, high in zip(rows["low"], rows["high"])],
            "images": rows["n_images"],
        }
    )
    caption = (
        "Energy of the maps of look-alike classes in the one part in which they differ: pairs of the image's own class "
        f"and its look-alike, {study.run.label}. Random: the part's share of the image."
    )
    return show(blank_repeats(frame, ["base"]), caption, text=["base", "method"])


def matching(study: Study) -> HTML:
    """The simulated observer; what people scored is in :func:`people`."""
    rows = printed.matching(study)
    frame = pd.DataFrame(
        {
            "network": rows["model"].map(_MODELS),
            "base": rows["base"].map(METHOD_NAMES),
            "maps": rows["method"].map(WHOLE_OUTPUT_NAMES),
            "matched by another network": [number(value) for value in rows["mean"]],
            "95 % interval": [interval(low, high) for low, high in zip(rows["low"], rows["high"])],
            "images": rows["n_images"],
            "undefined": rows["n_undefined"],
        }
    )
    caption = f"A simulated observer matches maps with classes; 0.5 is guessing: {study.run.label}."
    return show(blank_repeats(frame, ["network", "base"]), caption, text=["network", "base", "maps"])


def people() -> HTML:
    """Tables 4 and 5 as printed."""
    rows = printed.people()
    wide = rows.pivot(index=["group", "metric"], columns="method", values="printed")  # sorted as in print
    shown = wide[["swox", "cwox-1sb", "cwox-2s"]].rename(columns=WHOLE_OUTPUT_NAMES)
    flat = shown.rename_axis(index=["group", "measure"], columns=None).reset_index()
    flat["measure"] = flat["measure"].map({"matching-accuracy": "matched", "rated-confidence": "confidence, 1 to 5"})
    caption = "Tables 4 and 5: people, as printed (60 in each group, RISE, ± 95 % interval). Not measured here."
    return show(blank_repeats(flat, ["group"]), caption, text=["group", "measure"])


def verdicts(study: Study) -> HTML:
    """Every claim of §5 with difference, interval, corrected p-value and verdict."""
    rows = results_of_verdicts(study)
    frame = pd.DataFrame(
        {
            "claim": rows["text"],
            "section": rows["section"],
            "difference as claimed": [signed(value, 4) for value in rows["difference"]],
            "95 % interval": [interval(low, high, 4) for low, high in zip(rows["low"], rows["high"])],
            "p (Holm)": [p_value(value) for value in rows["p_holm"]],
            "images": rows["n_images"],
            "verdict": rows["reason"],
        }
    )
    held, turned = ((rows["verdict"] == name).sum() for name in ("holds", "reverses"))
    caption = (
        f"Claims of §5 on {study.run.label}: {held} hold, {turned} reverse, {len(rows) - held - turned} are undecided. "
        "A difference above zero supports the claim."
    )
    return show(frame, caption, text=["section", "verdict"], long=["claim"])


def _methods(study: Study, metric: str, title: str, variant: str) -> HTML:
    rows = printed.methods(study, metric, variant)
    frame = pd.DataFrame({"network": rows["model"].map(_MODELS), "base": rows["base"].map(METHOD_NAMES),
                          "method": rows["method"].map(WHOLE_OUTPUT_NAMES)} | _beside(rows))  # fmt: skip
    caption = (
        f"{title}: {_counted(rows, study)}, variant “{variant}”. The last two rows of a base are ours. "
        f"Paper: {_paper(rows)}."
    )
    return show(blank_repeats(frame, ["network", "base"]), caption, text=["network", "base", "method"])


def _beside(rows: pd.DataFrame) -> dict[str, list]:
    """Ours, interval, published, difference, undefined: columns of a table."""
    digits = [_DIGITS[metric] for metric in rows["metric"]]
    ours = zip(rows["mean"], rows["spread"], digits)
    return {
        "here": [plus_minus(mean, spread, d) for mean, spread, d in ours],
        "95 % interval": [interval(low, high, d) for low, high, d in zip(rows["low"], rows["high"], digits)],
        "paper, as printed": rows["printed"].replace("", MISSING).tolist(),
        "difference": [signed(value, d) for value, d in zip(rows["difference"], digits)],
        "undefined": rows["n_undefined"].tolist(),
    }


def _corpora(rows: pd.DataFrame, caption: str) -> HTML:
    frame = pd.DataFrame(
        {
            "documents of": rows["network"],
            "images": rows["documents"],
            "of one class": rows["of_one"],
            "classes in the others, mean": [number(value, 2) for value in rows["mean_length"]],
            "longest": rows["longest"],
            "clusters": rows["clusters"],
            "largest": rows["largest"],
            "classes alone": rows["alone"],
        }
    )
    return show(frame, caption, text=["documents of"])


def _counted(rows: pd.DataFrame, study: Study) -> str:
    n = len(study.networks)
    return f"{study.run.label}, {n} network{'s' if n > 1 else ''}, up to {rows['n_images'].max()} images each"


def _paper(rows: pd.DataFrame) -> str:
    return "ResNet-50 on ImageNet" if set(rows["model"]) == {""} else "the same network on ImageNet"
