"""Tables beyond the paper's own: what networks are matched in, what a score owes to the map, and the fine print."""

import pandas as pd
from IPython.display import HTML, Markdown

from xai_lib.page.table import MISSING, Column, each, number, show, signed, text
from xai_lib.papers.contrastive import analysis as results_of
from xai_lib.papers.contrastive import experiment, matching
from xai_lib.papers.contrastive import fine_print as fine_print_of
from xai_lib.papers.contrastive.tables import LOSS, METHOD, METRIC, METRIC_NAMES, NAMES
from xai_lib.run.settings import LOSSES, Settings
from xai_lib.statistics.matching import ACCURACY_TOLERANCE


def temperatures(run: Settings) -> HTML:
    """The temperature that brings each loss's networks to one mean confidence, on held-out images, means over seeds."""
    rows = experiment.temperatures(run).groupby("loss")[["accuracy", "confidence", "temperature"]].mean()
    target, n = experiment.temperatures(run)["target"].iloc[0], len(run.held_out_split())
    columns = [LOSS, *each(number(1, times=100), accuracy="accuracy (%)")]
    columns += each(number(), confidence="mean confidence", temperature="temperature")
    caption = f"On {n:,} held-out images; the temperature gives each network a mean confidence of {target:.3f}."
    return show(rows.loc[list(LOSSES)].reset_index(), columns, caption, name="temperatures")


def matched(run: Settings) -> HTML:
    """Which epochs of two losses match in accuracy."""
    found = matching.of_pairs(run, "pair")
    rows = []
    for a, b, seed in matching.pairs(run):
        pair = found[(found["a"] == a) & (found["b"] == b) & (found["seed"] == seed)].set_index("loss")
        cells = (pair[column].get(name) for column in ("epoch", "accuracy") for name in (a, b))
        rows.append((f"{NAMES[a]} and {NAMES[b]}", seed, *cells))
    names = ("pair", "seed", "epoch_a", "epoch_b", "accuracy_a", "accuracy_b")
    columns = [text("pair", "pair"), Column("seed", "seed")]
    columns += [Column("epochs", names[2:4], lambda *both: " and ".join(map(number(0), both)))]
    columns += [Column("accuracy (%)", names[4:], lambda *both: " and ".join(map(number(1, times=100), both)))]
    caption = f"Latest epochs within {100 * ACCURACY_TOLERANCE:.0f} point of accuracy, held-out images; a dash: none."
    frame = pd.DataFrame(rows, columns=names).astype(dict.fromkeys(names[2:], float))
    return show(frame, columns, caption, name="matched")


def removal(run: Settings) -> HTML:
    """Pixel flipping in the map's order, in a random one, and from the map's other end."""
    heads = {"most": "the map's order", "random": "random order", "least": "least important first"}
    columns = [METHOD, LOSS, *each(number(), **heads)]
    columns += [Column("random minus the map's", ("random", "most"), lambda random, most: signed()(random - most))]
    n = min(run.contrastive.n_further, run.contrastive.n_scored)
    caption = f"Pixel flipping at one confidence in three orders of removal: {run.label}, {n} images per network."
    return show(results_of.removal(run), columns, caption, name="removal", group=["method"])


def noise(run: Settings) -> HTML:
    """Continuity at several strengths of noise."""
    rows = results_of.noise(run)
    rows["sigma"] = rows["sigma"].map("σ = {:g}".format)
    wide = rows.pivot(index=["method", "loss"], columns="sigma", values="value")
    columns = [METHOD, LOSS, *(Column(sigma, sigma, number()) for sigma in wide)]
    caption = f"Continuity by the strength of the noise, σ of the standardised image: {run.label}."
    order = rows[["method", "loss"]].drop_duplicates()
    return show(order.merge(wide.reset_index()), columns, caption, name="noise", group=["method"])


def controls(run: Settings) -> HTML:
    """What maps without information score."""
    columns = [METRIC, *each(number(), random="random map", uniform="uniform map")]
    return show(results_of.controls(run), columns, f"Maps without information: {run.label}.", name="controls")


def sentences_on_contrastivity(run: Settings) -> Markdown:
    """Why the similarity of two classes' maps is small, in words."""
    parts = [
        f"{NAMES[row.loss]} {row.mean:.3f} ({100 * row.negative:.0f} % negative, mean size {row.size:.3f})"
        for row in results_of.contrastivity(run).itertuples()
    ]
    return Markdown(
        f"Mean similarity of the maps of two classes: {'; '.join(parts)}. Where many similarities are negative, a mean "
        "near 0 comes from values of both signs that cancel, as well as from empty maps."
    )


def sentences_on_power(rows: pd.DataFrame) -> Markdown:
    """Why claims are undecided, in words, from :func:`claims.verdicts`."""
    undecided = rows[rows["verdict"] == "undecided"]
    counts = undecided["reason"].str.removeprefix("undecided (").str.removesuffix(")").value_counts()
    parts = [f"{n} because of: {reason}" for reason, n in counts.items()]
    said = f"{len(undecided)} of {len(rows)} comparisons are undecided: {'; '.join(parts) or 'none'}."
    if len(power := undecided["power"].dropna()):
        said += (
            f" The comparisons among them that have an interval had a median chance of {100 * power.median():.0f} % to "
            "decide, if the true differences are those seen here."
        )
    return Markdown(said)


def fine_print(rows: pd.DataFrame, run: Settings) -> HTML:
    """Which comparisons each variant turns: rows of :func:`fine_print.compared`."""
    found = []
    for variant, reading in fine_print_of.readings():
        mine = rows[rows["variant"] == variant]
        verdicts = (mine["verdict_before"] != mine["verdict_after"]).sum()
        which = [f"{METRIC_NAMES[row.metric]}, {NAMES[row.loss]}" for row in mine[mine["turned"]].itertuples()]
        found.append((variant, reading, len(mine), len(which), verdicts, "; ".join(which) or MISSING))
    columns = [text("variant", "variant"), Column("what is read otherwise", "reading", kind="long")]
    columns += each(None, moved="differences that move", turned="that turn", verdicts="verdicts")
    columns += [Column("which turn", "which", kind="long")]
    few = fine_print_of.under(run, "paper")
    caption = (
        f"What each reading changes: {run.label}, trainings of each loss: {few.networks.seeds}, images: "
        f"{few.contrastive.n_scored}. A difference turns if it changes its direction and matters on both sides."
    )
    return show(pd.DataFrame(found, columns=[column.source for column in columns]), columns, caption, name="fine-print")


def sentences_on_fine_print(rows: pd.DataFrame) -> Markdown:
    """Which readings move which conclusions, in words."""
    turned = rows[rows["turned"]]
    readings = ", ".join(dict.fromkeys(turned["variant"])) or "none"
    n, changed = rows["variant"].nunique(), (rows["verdict_before"] != rows["verdict_after"]).sum()
    return Markdown(
        f"{len(turned)} of the {len(rows)} differences that move turn, under {turned['variant'].nunique()} of {n} "
        f"readings ({readings}). Verdicts that change: {changed}. Where a difference turns and no verdict does, the "
        "trainings and images of this run are too few to tell."
    )
