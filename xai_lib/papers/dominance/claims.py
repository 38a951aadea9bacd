"""What the dominance paper claims, one comparison a claim: about clusters, of these classes and networks, against
images dealt to the clusters at random; about single images, over images; on planted images, over trainings.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from xai_lib import published, statistics
from xai_lib.papers.dominance import experiment
from xai_lib.papers.dominance.analysis import dealt, hierarchies, networks, rarity, single, training
from xai_lib.papers.dominance.method import training_share
from xai_lib.run.settings import Settings, Study
from xai_lib.statistics import Claim, Comparison, Decided

WEAK = 0.3  # a rank correlation weaker than this is what "non-correlated" is taken to mean
SIMILAR = 0.05  # "no dominance": at most so much further from 0.5 than where images are dealt; a bound of ours
_Said = tuple[str, str, str, str, str, Comparison]  # name, text, section, metric, which is better, and what was found
_SENTENCES = published.sentences("dominance")
_SENTENCE_OF = {"probability": "logit", "lowest two": "least", "same": "least", "nearest": "similar"}
_OURS = ("hierarchy", "representation", "most", "rare", "whole", "untrained", "ours")
_TEXTS = {name: text.format(SIMILAR=SIMILAR) for name, (_, _, text) in _SENTENCES.items()}
_RIVALS = {
    "random": "chance gives (0.5)",
    rarity.NOT_RARE: "it is for a mode that is not rare",
    "logit": "the mean logit has",
    "probability": "the mean probability has",
    "training distance": "the distance to the training images has",
    "representation": "the ratio of training to evaluation share has, which needs the training images",
}
_RARE = (
    "Low dominance points to images of a mode that is rare in training (1 to 10 %): the area under the ROC curve is "
    "larger than {rival}. A test of ours."
)


def verdicts(study: Study) -> pd.DataFrame:
    """A verdict for each claim and kind of network about which they are asked: :func:`statistics.verdict_table`."""
    about = {"dataset": study.run.label, "between": "clusters"}
    tested = statistics.verdict_table(
        _claim(f"{name}-{kind}", *said, method=kind, **about)
        for kind in experiment.judged(study)
        for claims in (_clusters, _training, _single, _focus)
        for name, *said in claims(study, kind)
    )
    said = ("dominance-interpretable", *_SENTENCES["interpretable"][:2], "none", "higher", "dominance", "other metrics")
    return pd.concat([tested, statistics.untested([Claim(*said, paper="dominance", **about)])], ignore_index=True)


def rarity_verdicts(run: Settings) -> pd.DataFrame:
    """On planted images: does low dominance find images of the rare mode? Better than other scores is asked of the
    paper's design alone: fine-tuned networks, modes as rare in evaluation as in training.
    """
    decided = []
    for design in rarity.DESIGNS:
        about = {"method": rarity.said(*design), "dataset": "planted", "between": "score"}
        for rival, named in _RIVALS.items():
            if design[:2] == rarity.OF_PAPER or rival == "random":
                found = rarity.against(run, *design, rival)
                said = _RARE.format(rival=named), "5", "area under the curve", "higher", found
                decided.append(_claim(f"rare-{'-'.join(design)}-{rival}", *said, **about))
    return statistics.verdict_table(decided)


def _clusters(study: Study, kind: str) -> Iterator[_Said]:
    spread = dealt.real_and_dealt(hierarchies.spread(study)).query("kind == @kind")
    spread = spread.assign(nearest=spread["nearest"] - SIMILAR * (spread["deal"] == hierarchies.REAL))
    for name, section, column, range, better in (
        ("clusters", "4, Figure 2", "spread", (0.0, 0.5), "higher"),
        ("similar", "4, Figure 2, example 3", "similar", (-1.0, 1.0), "higher"),
        ("nearest", "4, Figure 2, example 3", "nearest", (0.0, 0.5), "lower"),
        ("hierarchy", "3.4", "cyclic_share", (0.0, 1.0), "lower"),
    ):
        found = dealt.against_dealt(dealt.table(spread, column), a=name, range=range)
        yield name, _TEXTS[name], section, column, better, found
    if "mode" in experiment.table(study, "images"):
        found = dealt.against_dealt(networks.agreement_with_modes(study, kind), a="clusters", range=(-1.0, 1.0))
        yield "coherence", _TEXTS["coherence"], "3.1", "adjusted Rand index", "higher", found


def _training(study: Study, kind: str) -> Iterator[_Said]:
    rows = training.clusters(study).query("kind == @kind")
    for name, what in training.SHARES.items():
        by_class = training_share.correlations(rows, name).pivot(index="seed", columns="label", values="correlation")
        how = {"permuted": training_share.permutation_test(rows, name).draws, "range": (-1.0, 1.0)}
        found = statistics.compare_over_classes(by_class.to_numpy(float), a="dominance", b=what, **how)
        better = "lower" if name == "training_distance" else "higher"
        yield name, _TEXTS[name], "abstract and 4, Figures 4-5", what, better, found
    for rank, better in (("least", "lower"), ("lowest two", "lower"), ("same", "higher"), ("most", "higher")):
        for share in training.SHARES_OF_IMAGES:
            ours = share == "representation"
            text = _TEXTS[rank] + " Here: of the training share divided by the evaluation share." * ours
            found = training.against_dealt(study, kind, share, rank)
            yield f"{'ours-' * ours}{rank}", text, "4, Figures 4-5", training.SHARES[share], better, found


def _single(study: Study, kind: str) -> Iterator[_Said]:
    images = single.images(study)
    of_kind = images[images["kind"] == kind]
    n, n_seeds = len(of_kind[["label", "index"]].drop_duplicates()), of_kind["seed"].nunique()
    about = {"n_images": n, "test": "bootstrap over images"}
    for size in of_kind["size"].unique():
        for output in single.OUTPUTS:
            metric, said = f"{output}, mean correlation", f"{output}, on {size} mosaics"
            value, draws = single.mean_correlation(study, kind, output, size)
            beyond = abs(value) - WEAK, np.abs(draws) - WEAK
            found = statistics.compare_statistic(*beyond, a="correlation", b=f"{WEAK}", **about)
            text = (
                f"Dominance of single images is not correlated with their {said}: the rank correlation within a class "
                f"is, in the mean over classes, between -{WEAK} and {WEAK}; a bound of ours."
            )
            name = f"whole-{output}" if size == experiment.WHOLE else output
            yield name, text, "abstract and 4, Figure 3", metric, "lower", replace(found, n_seeds=n_seeds)
            other = experiment.untrained_like(kind)
            if output == "logit" and other in set(images["kind"]) - {kind}:
                base, of_base = single.mean_correlation(study, other, output, size)
                ends = {"a": "trained", "b": "untrained"}
                found = statistics.compare_statistic(value - base, draws - of_base, **ends, **about)
                text = f"The correlation with the {said}, is higher in trained networks than in untrained ones."
                yield f"untrained-{size}", text, "", metric, "higher", replace(found, n_seeds=n_seeds)


def _focus(study: Study, kind: str) -> Iterator[_Said]:
    values = experiment.table(study, "focus").rename(columns={"mosaic": "index", "explainer": "method"})
    values = values.query("kind == @kind").assign(metric="focus")
    for other in experiment.EXPLAINERS[1:-1]:  # the last is the random map
        how = {"metric": "focus", "a": experiment.EXPLAINERS[0], "b": other, "between": "method", "unit": "image"}
        found = statistics.paired_comparison(values, **how, range=(0.0, 1.0))
        text = f"Grad-CAM has a higher Focus than {other} on the same mosaics."
        yield f"focus-{other}", text, "4", "Focus", "higher", found


def _claim(name: str, text: str, section: str, metric: str, better: str, found: Comparison, **about: str) -> Decided:
    said = (f"dominance-{name}".replace(" ", "-"), section, text, metric, better, found.a, found.b)
    ours = name.startswith(_OURS)
    first = name.removesuffix(f"-{about['method']}")
    _, in_print, _ = _SENTENCES.get(_SENTENCE_OF.get(first, first.split("-")[0]), ("", "", ""))
    sentence = "" if ours else in_print or text
    return Decided(Claim(*said, paper="dominance", ours=ours, sentence=sentence, **about), found)
