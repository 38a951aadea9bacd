"""Tables of what training shows of the clusters: the correlations, the ends of the hierarchies, and the exception."""

from collections.abc import Mapping

import pandas as pd
from IPython.display import HTML, Markdown

from xai_lib.page.names import LETTERS
from xai_lib.page.record import keep
from xai_lib.page.table import MISSING, Column, interval, number, p_value, part_of, show, signed, text
from xai_lib.papers.dominance.analysis import networks, training
from xai_lib.papers.dominance.tables.networks_and_clusters import (
    CLASS,
    NETWORK,
    each,
    finer,
    name_of,
    of_network,
    with_interval,
)
from xai_lib.run.study import Study

_RANKS = {
    "least": "the least dominant cluster",
    "lowest two": "the two least dominant (ranks 3 and 4 in print)",
    "most": "the most dominant cluster",
    "same": "how often the least dominant has the least",
}
_OF_IMAGES = {"training_share": "training share", "representation": "training share / evaluation share"}


def over_classes(study: Study) -> HTML:
    """Are clusters that dominate little rare in training?"""
    caption = (
        "Spearman's correlation of dominance with what training shows of a cluster, mean over classes. In print: low "
        f"dominance goes with few training images, without a number. {study.run.label}."
    )
    return _correlations(study, training.SHARES, caption, "over-classes")


def clusters_and_outputs(study: Study) -> HTML:
    """Do clusters that dominate have high logits?"""
    caption = (
        "Spearman's correlation of the dominance of a cluster with the mean output for its images, mean over classes. "
        f"Not in print. {study.run.label}."
    )
    return _correlations(study, training.OUTPUTS, caption, "clusters-and-outputs")


def by_class(study: Study, kind: str) -> HTML:
    """The least dominant cluster of each class of the first network."""
    rows = training.clusters(study)
    shown, least = (networks.first(found, kind) for found in (rows, training.least(study)))
    agree = networks.first(training.correlations(study), kind)
    agree = agree.pivot(index="label", columns="share", values="correlation").add_prefix("of_")
    frame = least.merge(agree, on="label").set_index("label").reindex(shown["label"].unique()).reset_index()
    columns = [
        CLASS,
        text("least dominant", "cluster", _letter),
        text("fewest training images", "fewest", _letter),
        text("same", "same", lambda same: {True: "yes", False: "no"}.get(same, MISSING)),
        Column("training images", "training", number(0)),
        Column("share (%)", "training_share", number(1, times=100)),
        Column("evaluation images", "evaluation", number(0)),
        Column("representation", "representation", number(2)),
        *each(signed(2), of_training_share="correlation, share", of_representation="representation "),
    ]
    caption = (
        "The least dominant cluster of each class. Representation: training share divided by evaluation share, 1 is as "
        f"frequent in training as in evaluation. {study.run.label}, {name_of(kind)}, training 0."
    )
    keep("correlations", training.correlations(study))
    return finer("by-class", rows, show(frame, columns, caption))


def least(study: Study) -> HTML:
    """What training shows of the clusters at the ends of the hierarchies, beside dealt ones."""
    columns = [
        NETWORK,
        text("of", "share", _OF_IMAGES),
        text("place", "rank", _RANKS),
        *each(number(), value="clusters", dealt="dealt"),
        Column("difference", ("difference", "low", "high"), with_interval),
        Column("p, deals", "p_value", p_value),
    ]
    caption = (
        "The clusters at the ends of the hierarchies, beside those of clusters of the same sizes to which images were "
        "dealt at random: small clusters are more often last, whatever they contain. Means over classes and networks, "
        f"{study.run.label}."
    )
    return of_network(training.ranks_in_numbers(study), columns, caption, name="least")


def exception(study: Study, kind: str, label: str = "airplane") -> Markdown:
    """Whether the class that the paper excepts is one here: a sentence."""
    found = training.exception(study, kind, label)
    if found is None:
        return Markdown(f"In print the class {label} does not follow the claim. {study.run.label} has no such class.")
    other = "lowest" if found["below"] == 0 else f"not the lowest ({found['below']} classes have a lower one)"
    again = "found again" if found["below"] == 0 and found["narrower"] == 1 else "not found again"
    return Markdown(
        f"In print the class {label} does not follow the claim: it has a cluster of three images, and almost no "
        "dominance. Here the correlation of dominance with the training share is "
        f"{signed(2)(found['correlation'])} in {label} and {signed(2)(found['others'])} on average in the others: of "
        f"{found['classes']} classes it is {other}. Its pairs lie {found['spread']:.3f} from 0.5 on average, at place "
        f"{found['narrower']} from the narrowest class, and its smallest cluster has {found['smallest']} images. The "
        f"exception is {again}."
    )


def _correlations(study: Study, names: Mapping[str, str], caption: str, name: str) -> HTML:
    columns = [
        NETWORK,
        text("dominance and", "share", names),
        Column("correlation", "correlation", signed(2)),
        Column("95 %, permutation", ("low", "high"), interval(2)),
        Column("p, permutation", "p_value", p_value),
        Column("classes above 0", ("positive", "classes"), part_of),
        Column("trainings", "networks"),
    ]
    return of_network(training.over_classes(study, names), columns, caption, name=name)


def _letter(cluster: float) -> str:
    return MISSING if pd.isna(cluster) else LETTERS[int(cluster)]
