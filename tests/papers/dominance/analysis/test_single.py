import numpy as np
import pytest
from scipy import stats

from xai_lib.papers.dominance.analysis import single
from xai_lib.statistics.intervals import resampled_counts

NAN = float("nan")


def select(frame, **where):
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame), where
    return frame


def test_an_images_dominance_is_its_mean_share_against_the_others(hierarchies_of, made_up):
    frames = made_up.frames()
    rows = single.images(hierarchies_of(frames))
    assert set(rows["kind"]) == {"tuned"} and len(rows) == 2 * len(made_up.LABELS) * made_up.PAIRED
    for row in rows.to_dict("records"):
        where = {name: row[name] for name in ("kind", "seed", "label")}
        found = []
        for pair in select(frames["pairs"], **where).itertuples(index=False):
            if row["index"] in (pair.a, pair.b) and not np.isnan(pair.value):
                found.append(pair.value if pair.a == row["index"] else 1 - pair.value)
        assert row["dominance"] == pytest.approx(np.mean(found))
        image = select(frames["images"], **where, index=row["index"]).squeeze()
        assert all(row[name] == image[name] for name in ("logit", "probability", "training_distance"))


def test_correlations_are_over_the_images_of_a_class(hierarchies_of, made_up):
    of = hierarchies_of(made_up.frames())
    images, rows = single.images(of), single.correlations(of)
    assert len(rows) == 2 * 2 * len(made_up.LABELS)
    for row in rows.to_dict("records"):
        here = select(images, kind=row["kind"], seed=row["seed"], label=row["label"])
        expected = stats.spearmanr(here["dominance"], here[row["output"]]).statistic
        assert row["correlation"] == pytest.approx(expected) and row["n"] == made_up.PAIRED
        assert row["low"] <= row["correlation"] <= row["high"]


def test_strength_is_the_mean_size_of_correlations_and_of_those_on_resamples(hierarchies_of, made_up):
    """Networks of a class share their resamples, two classes do not: they are taken from different places."""
    of = hierarchies_of(made_up.frames())
    correlations, images = single.correlations(of), single.images(of)
    counts = np.concatenate(list(resampled_counts(made_up.PAIRED))).astype(int)
    for output in single.OUTPUTS:
        value, draws = single.strength(of, "tuned", output)
        sizes = [abs(row) for row in select(correlations, output=output)["correlation"]]
        assert value == pytest.approx(sum(sizes) / len(sizes)) and value > abs(np.mean(sizes) / 2)
        assert draws.shape == (2000,)
        for number in (0, 5, 1999):
            expected = []
            for place, label in enumerate(made_up.LABELS):
                for seed in (0, 1):
                    here = select(images, seed=seed, label=label)
                    drawn = here.loc[here.index.repeat(counts[number - place])]
                    expected.append(abs(stats.spearmanr(drawn["dominance"], drawn[output]).statistic))
            assert draws[number] == pytest.approx(np.mean(expected))


def test_resamples_of_two_classes_have_nothing_to_do_with_each_other(hierarchies_of, made_up):
    """Two classes with the same numbers: their mean varies less than one of them alone, by the root of two."""
    networks = made_up.NETWORKS[:1]
    frames = made_up.frames(networks, labels=("ship", "cat"), missing=0)
    for name in ("pairs", "images"):
        columns = ["value"] if name == "pairs" else ["logit", "probability"]
        first, second = (frames[name]["label"] == label for label in ("ship", "cat"))
        frames[name].loc[second, columns] = frames[name].loc[first, columns].to_numpy()
    _, both = single.strength(hierarchies_of(frames, networks), "tuned", "logit")
    alone = {name: part[part["label"] == "ship"] for name, part in frames.items() if "label" in part}
    _, one = single.strength(hierarchies_of(alone, networks), "tuned", "logit")
    assert np.var(one) / np.var(both) == pytest.approx(2, rel=0.1)


def test_over_classes_networks_are_averaged_first(hierarchies_of, made_up):
    frames = made_up.frames()
    made_up.put(frames["images"], "logit", 1.0, kind="tuned", seed=1, label="cat")  # a constant has no correlation
    of = hierarchies_of(frames)
    correlations, rows = single.correlations(of), single.over_classes(of)
    assert [*rows["output"]] == ["logit", "probability"] and set(rows["kind"]) == {"tuned"}
    for row in rows.to_dict("records"):
        here = select(correlations, output=row["output"])
        by_class = [select(here, label=label)["correlation"].dropna().mean() for label in made_up.LABELS]
        assert row["correlation"] == pytest.approx(np.mean(by_class))
        assert row["low"] <= row["correlation"] <= row["high"]
        value, draws = single.strength(of, "tuned", row["output"])
        assert row["strength"] == value and (row["classes"], row["networks"]) == (3, 2)
        assert (row["strength_low"], row["strength_high"]) == pytest.approx(np.quantile(draws, [0.025, 0.975]))


def test_the_strength_by_chance_is_that_of_unrelated_numbers(hierarchies_of, made_up):
    row = single.over_classes(hierarchies_of(made_up.frames())).iloc[0]
    rng = np.random.default_rng(0)
    ranks = np.argsort(rng.random((4000, made_up.PAIRED))) - (made_up.PAIRED - 1) / 2
    sizes = np.abs(ranks @ np.sort(ranks[0])) / (ranks[0] @ ranks[0])
    assert row["by_chance"] == pytest.approx(sizes.mean(), rel=0.05)


def test_shown_are_the_classes_of_the_highest_and_the_lowest_correlation_with_the_logit(hierarchies_of, made_up):
    frames = made_up.frames()
    images = single.images(hierarchies_of(frames))
    for label, sign in (("bird", 1), ("cat", -1), ("ship", 0)):
        for seed, factor in ((0, 1), (1, -1)):  # the second network has it the other way round
            here = select(images, seed=seed, label=label)
            for row in here.itertuples(index=False):
                if sign:
                    logit = factor * sign * row.dominance
                    made_up.put(frames["images"], "logit", logit, kind="tuned", seed=seed, label=label, index=row.index)
    rows = single.shown(hierarchies_of(frames), "tuned")
    assert list(rows["label"].unique()) == ["bird", "cat"] and set(rows["seed"]) == {0}
    assert len(rows) == 2 * made_up.PAIRED


@pytest.mark.filterwarnings("error")
def test_a_class_without_a_correlation_is_not_shown_where_another_has_one(hierarchies_of, made_up):
    networks = made_up.NETWORKS[:1]
    frames = made_up.frames(networks)
    made_up.put(frames["pairs"], "value", NAN, label="cat")
    made_up.put(frames["pairs"], "value", 0.5, label="ship")
    of = hierarchies_of(frames, networks)
    assert list(single.shown(of, "tuned")["label"].unique()) == ["bird"]
    value, draws = single.strength(of, "tuned", "logit")
    assert value == pytest.approx(abs(select(single.correlations(of), label="bird", output="logit")["correlation"]))
    assert not np.isnan(draws).any()
    assert (single.over_classes(of)["classes"] == 1).all()


@pytest.mark.filterwarnings("error")
def test_without_a_value_there_is_no_number(hierarchies_of, made_up):
    networks = made_up.NETWORKS[:1]
    frames = made_up.frames(networks)
    made_up.put(frames["pairs"], "value", NAN)
    of = hierarchies_of(frames, networks)
    value, draws = single.strength(of, "tuned", "probability")
    assert np.isnan(value) and np.isnan(draws).all()
    rows = single.over_classes(of)
    assert rows.drop(columns=["kind", "output", "classes", "networks"]).isna().all(axis=None)
    assert (rows["classes"] == 0).all() and len(single.shown(of, "tuned")) == made_up.PAIRED
