"""Tables of the interventions on drawn images: elements, methods, metrics."""

from IPython.display import HTML

from xai_lib import statistics
from xai_lib.data import planted
from xai_lib.page.names import METHOD_NAMES
from xai_lib.page.table import Column, each, ends, interval, number, show, text, wide
from xai_lib.papers.saliency.analysis import interventions
from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.saliency.method.interventions import METRICS
from xai_lib.papers.saliency.tables.printed import METRIC
from xai_lib.run.settings import Study

ELEMENT_NAMES = {
    "body": "the object's body",
    "part": "the part in which look-alikes differ",
    "second": "the second object",
    "shortcut": "the water",
    "surroundings": "the surroundings, which others replace",
}
_MEASURES = ("by shares of a map (τ)", "by means of a map (τ)")


def elements(study: Study) -> HTML:
    """What each element of the images is worth to the networks."""
    found = statistics.summarise(interventions.worth(study), by=("metric",))
    found = found.set_index("metric").reindex([name for name in planted.ELEMENTS if name in set(found["metric"])])
    columns = [text("element", "metric", ELEMENT_NAMES), *each(None, n_images="images")]
    columns += [*each(number(2), mean="loss of the true class's logit"), ends(2)]
    caption = f"What the networks lose when an element is not drawn, over the images that show it: {study.run.label}."
    return show(found.reset_index(), columns, caption, name="elements")


def methods(study: Study) -> HTML:
    """Every method's agreement with the interventions."""
    found = interventions.of_methods(study)
    named = text("method", "method", lambda name: METHOD_NAMES[name] + " (uninformed)" * (name in lineup.UNINFORMED))
    rows = wide(found, ["method"], "metric", ["mean", "low", "high"])
    caption = f"Agreement of each method's maps with what elements are worth, mean over images: {study.run.label}."
    return show(rows, [named, *_measured("mean")], caption, name="interventions", behind=found)


def metrics(study: Study) -> HTML:
    """Which metrics rank methods as the interventions do."""
    found = interventions.of_metrics(study)
    rows = wide(found[found["among"] == "all"].sort_values("metric"), ["metric"], "measure", ["tau", "low", "high"])
    rows = rows.sort_values(f"tau {METRICS[0]}", ascending=False)
    caption = (
        f"Kendall's τ between each metric's order of all methods and their order by interventions: {study.run.label}."
    )
    return show(rows, [METRIC, *_measured("tau")], caption, name="judges", behind=found)


def _measured(value: str) -> list[Column]:
    """A value by each of the measures, and its interval."""
    columns = []
    for title, name in zip(_MEASURES, METRICS):
        columns += [Column(title, f"{value} {name}", number(2))]
        columns += [Column("95 % interval", (f"low {name}", f"high {name}"), interval(2))]
    return columns
