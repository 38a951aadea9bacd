"""Which methods agree with interventions on drawn images, and which metrics rank methods as these do."""

import pandas as pd
import torch

from xai_lib import statistics
from xai_lib.data import planted
from xai_lib.metrics.rows import rows
from xai_lib.papers.saliency import experiment
from xai_lib.papers.saliency.analysis.scores import directions, present, scores, under
from xai_lib.papers.saliency.method import interventions, lineup
from xai_lib.run.settings import Study

RANGE = (-1.0, 1.0)


def of_methods(study: Study) -> pd.DataFrame:
    """Mean agreement of every method by measure, best first: columns of ``statistics.summarise`` by method, metric."""
    found = statistics.summarise(_agreements(study), by=("method", "metric"), ranges=RANGE)
    first = found[found["metric"] == interventions.METRICS[0]].set_index("method")["mean"]
    order = found["method"].map(first.rank(ascending=False, method="first"))
    return found.assign(order=order).sort_values(["order", "metric"], ignore_index=True).drop(columns="order")


def of_metrics(study: Study) -> pd.DataFrame:
    """Kendall's tau of each metric's order of methods with that of the interventions: ``statistics.metric_agreement``.

    Rows metric, measure (of :data:`interventions.METRICS`), among ("all" methods, or the "informed" ones of the paper),
    tau, low, high, n_methods, n_images.
    """
    both = pd.concat([scores(study), _agreements(study)], ignore_index=True)
    better, parts = directions(present(study)), []
    among = {"all": experiment.applicable(study), "informed": lineup.INFORMED}
    for (who, methods), measure in ((one, measure) for one in among.items() for measure in interventions.METRICS):
        of_these = both[both["method"].isin(methods) & both["metric"].isin([*better, measure])]
        found = statistics.metric_agreement(of_these, better | {measure: "higher"})
        found = found[found["metric_b"] == measure].rename(columns={"metric_a": "metric", "metric_b": "measure"})
        parts.append(found.assign(among=who))
    return pd.concat(parts, ignore_index=True)


def worth(study: Study) -> pd.DataFrame:
    """What each element is worth to the networks: rows seed, index, metric (the element), value, where it is there."""
    parts = []
    for subject in study.networks:
        found = interventions.worth(subject.network, subject.images.materialised(), subject.device).T
        elements = dict(zip(planted.ELEMENTS, found))
        parts.append(rows(subject.images.index, elements, seed=subject.seed))
    return pd.concat(parts, ignore_index=True).dropna(subset="value")


def example(study: Study) -> tuple[torch.Tensor, list[str]]:
    """For each element an image of the first network that has it, followed by itself without every element.

    Pictures float [n·(1+E),3,H,W] in [0,1], row by row, and a text for each: the class, then what its logit becomes
    more or less, with nothing where the image has no such element.
    """
    subject = study.networks[0]
    images = subject.images.materialised()
    first = interventions.present(images).int().argmax(dim=0)  # the first image that has it
    images = images.subset(sorted(set(first.tolist())))
    lost = interventions.worth(subject.network, images, subject.device).tolist()
    versions = [planted.redrawn(images, variant).images for variant in planted.ELEMENTS.values()]
    names = [images.classes[label] for label in images.labels.tolist()]
    texts = [[name, *("" if loss != loss else f"{-loss:+.1f}" for loss in of)] for name, of in zip(names, lost)]
    return torch.stack([images.images, *versions], dim=1).flatten(0, 1) / 255, [text for of in texts for text in of]


def _agreements(study: Study) -> pd.DataFrame:
    return under(experiment.scores(study, "interventions"))[["seed", "method", "index", "metric", "value"]]
