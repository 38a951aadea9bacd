import pytest

from xai_lib.papers.saliency.analysis import evidence
from xai_lib.papers.saliency.figures import rankings
from xai_lib.papers.saliency.method import lineup

NAN = float("nan")
READ = (*lineup.PAPER, *lineup.CONTROLS)


@pytest.fixture
def frames(made_up):
    return made_up.frames(n_images=12)


def ordered(made_up, frame, methods, *, upwards=True, **where):
    """Give the methods scores in this order, far apart."""
    for place, method in enumerate(methods):
        made_up.add(frame, (place if upwards else -place) * 0.1, method=method, **where)


def test_metrics_that_rank_alike_agree_whatever_their_directions(study_of, made_up, frames):
    """The methods fall under D and rise under AG: the same order, as low is good under D; under AI the other one."""
    ordered(made_up, frames["fidelity"], lineup.INFORMED, metric="average-gain")
    ordered(made_up, frames["fidelity"], lineup.INFORMED, metric="deletion", upwards=False)
    ordered(made_up, frames["fidelity"], lineup.INFORMED, metric="average-increase", upwards=False)
    rows = evidence.agreement(study_of(frames))
    tau = rows.set_index(["metric_a", "metric_b"])["tau"]
    assert tau["average-gain", "deletion"] == pytest.approx(1)
    assert tau["average-increase", "deletion"] == pytest.approx(-1)
    assert (rows["n_methods"] == 9).all() and (rows["n_images"] == 12).all()


def test_near_copies_and_ruled_means_are_not_compared(study_of, frames):
    rows = evidence.agreement(study_of(frames))
    names = set(rows["metric_a"]) | set(rows["metric_b"])
    copies = {"local-accuracy-logit", "monotonicity-quantus", "monotonicity-arya", "completeness"}
    assert set(lineup.METRICS) - names == copies
    assert len(rows) == len(names) * (len(names) - 1) / 2


def test_stability_is_that_of_the_nine(study_of, made_up, frames):
    ordered(made_up, frames["fidelity"], lineup.INFORMED, metric="insertion")
    made_up.add(frames["fidelity"], 100, method=("fake-cam", *lineup.BEYOND))
    rows = evidence.stability(study_of(frames)).set_index("metric")
    assert rows.index.tolist() == list(lineup.METRICS)
    assert (rows["n_methods"] == 9).all()
    assert rows.loc["insertion", "w_images"] == pytest.approx(1, abs=0.02)
    assert rows.loc["deletion", "w_images"] < 0.3


def test_fooled_holds_the_controls_against_the_nine(study_of, made_up, frames):
    made_up.add(frames["fidelity"], 1, metric=("insertion", "deletion"), method="random")
    made_up.add(frames["fidelity"], 2, metric="insertion", method=lineup.BEYOND)
    rows = evidence.fooled(study_of(frames)).set_index(["metric", "control"])
    assert rows.index.get_level_values("control").unique().tolist() == ["fake-cam", *lineup.CONTROLS]
    assert rows.loc[("insertion", "random"), ["superiority", "high"]].tolist() == [1, 1]
    assert rows.loc[("insertion", "random"), ["rank", "n_methods"]].tolist() == [1, 10]
    assert rows.loc[("deletion", "random"), ["superiority", "low"]].tolist() == [0, 0]
    assert rows.loc[("deletion", "random"), "rank"] == 10


def test_discrimination_counts_pairs_of_the_nine(study_of, made_up, frames):
    made_up.add(frames["fidelity"], 5, metric="insertion", method=("grad-cam", "lime", *lineup.BEYOND))
    rows = evidence.discrimination(study_of(frames)).set_index("metric")
    assert (rows["pairs"] == 36).all()
    assert rows.loc["insertion", "apart"] > rows.loc["sparseness", "apart"]


def test_mean_ranks_are_of_everyone_and_the_best_is_first(study_of, made_up, frames):
    made_up.add(frames["fidelity"], -1, metric="deletion", method="lrp")
    made_up.add(frames["fidelity"], 1, metric="deletion", method="edge-map")
    ranks, critical = evidence.mean_ranks(study_of(frames), "deletion")
    assert set(ranks["method"]) == set(lineup.ALL) and critical > 0
    assert (ranks["method"].iloc[0], ranks["mean_rank"].iloc[0]) == ("lrp", 1)
    assert (ranks["method"].iloc[-1], ranks["mean_rank"].iloc[-1]) == ("edge-map", 23)


def test_readings_rank_the_papers_methods_and_the_controls(study_of, made_up, frames):
    """Print a known order under I; black turns it round, blur is not a reading of I."""
    frame, metric = frames["fidelity"], "insertion"
    ordered(made_up, frame, READ, metric=metric, reading=("absolute", "mean colour"), target="ground-truth")
    ordered(made_up, frame, READ, metric=metric, reading="black", upwards=False)
    rows = evidence.readings(study_of(frames))
    assert set(rows["method"]) == set(READ)
    rows = rows[rows["metric"] == metric].set_index(["reading", "method"])
    assert rows.loc[("absolute", READ[-1]), "rank"] == 1 and rows.loc[("absolute", READ[0]), "rank"] == 14
    assert rows.loc["absolute", "tau"].tolist() == [1] * 14 and (rows.loc["absolute", "moved"] == 0).all()
    assert rows.loc[("black", READ[0]), ["rank", "moved"]].tolist() == [1, 13]
    assert rows.loc[("black", READ[0]), "tau"] == pytest.approx(-1)
    assert rows.loc[("mean colour", READ[3]), ["moved", "tau"]].tolist() == pytest.approx([0, 1])
    assert set(rows.index.get_level_values("reading")) == {"absolute", "signed", "black", "mean colour"}


def test_readings_turn_with_the_direction_of_the_metric(study_of, made_up, frames):
    ordered(made_up, frames["fidelity"], READ, metric="deletion", target="ground-truth")
    rows = evidence.readings(study_of(frames)).set_index(["metric", "reading", "method"])
    assert rows.loc[("deletion", "blur", READ[0]), "rank"] == 1
    assert rows.loc[("deletion", "blur", READ[-1]), "rank"] == 14


def test_the_papers_reading_is_first_and_of_the_same_images(study_of, made_up, frames):
    """Images beyond those read in every way must not move the paper's own mean."""
    beyond = tuple(range(made_up.N_READ, 12))
    made_up.put(frames["fidelity"], 100, metric="average-drop", index=beyond, reading="absolute", method="rise")
    rows = evidence.readings(study_of(frames))
    assert rows["mean"].max() < 1
    for _, group in rows.groupby(["metric", "method"]):
        assert group["reading"].iloc[0] == "absolute" and group["reading"].is_unique
    assert rows["metric"].unique().tolist() == [*lineup.FIDELITY, "local-accuracy"]


def test_against_probability_pairs_a_metric_with_the_probability_of_the_same_image(study_of, made_up, frames):
    frame = frames["fidelity"].sample(frac=1, random_state=0, ignore_index=True)
    for index in range(12):
        here = {"index": index, "target": "ground-truth", "reading": "absolute"}
        made_up.put(frame, index / 12, metric="probability", **here)
        made_up.put(frame, index**2, metric="insertion", method="rise", **here)
        made_up.put(frame, -index, metric="average-drop", method="iba", **here)
    made_up.put(frame, 7, metric=("probability", "insertion"), target=("predicted", "least-probable"))
    rows = evidence.against_probability(study_of({**frames, "fidelity": frame}))
    assert rows["metric"].unique().tolist() == ["average-drop", "average-gain", "insertion", "deletion"]
    assert set(rows["method"]) == set(lineup.PAPER) and len(rows) == 4 * 10 * 12
    found = rows.set_index(["metric", "method"])
    assert found.loc[("insertion", "rise"), "rho"].tolist() == pytest.approx([1] * 12)
    assert found.loc[("average-drop", "iba"), "rho"].tolist() == pytest.approx([-1] * 12)
    assert abs(found.loc[("insertion", "iba"), "rho"].iloc[0]) < 0.9
    rise = found.loc[("insertion", "rise")]
    assert rise["probability"].tolist() == pytest.approx([index / 12 for index in rise["index"]])


def test_cost_is_the_first_networks_in_the_order_of_the_pages(study_of, made_up):
    frames = made_up.frames(n_images=2, n_seeds=2)
    frames["cost"] = frames["cost"].iloc[::-1]
    rows = evidence.cost(study_of(frames))
    assert rows.columns.tolist() == ["method", "forwards", "seconds", "megabytes"]
    assert rows["method"].tolist() == list(lineup.ALL)
    assert (rows["seconds"] == 0.002).all()


@pytest.mark.parametrize("methods", [("grad-cam", "rise"), ("random", "uniform")])
def test_fooled_needs_a_map_that_is_uninformed_and_one_that_is_not(study_of, made_up, methods):
    frame = evidence.fooled(study_of(made_up.frames(methods, n_images=4)))
    assert frame.empty
    assert "It takes an uninformed map" in rankings.fooled(frame).axes[0].texts[0].get_text()
