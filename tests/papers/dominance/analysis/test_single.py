import itertools

import numpy as np
import pytest
from scipy import stats

from xai_lib.papers.dominance.analysis import single
from xai_lib.statistics.intervals import resampled_counts

NAN = float("nan")
ONE = (("tuned", 0),)


def test_an_images_dominance_is_its_mean_share_against_the_others(study_of, made_up, select):
    frames = made_up.frames()
    rows = single.images(study_of(frames))
    assert set(rows["kind"]) == {"tuned"} and len(rows) == 2 * 2 * len(made_up.LABELS) * made_up.PAIRED
    for row in rows.to_dict("records"):
        where = {name: row[name] for name in ("kind", "seed", "label")}
        found, logits = [], []
        for pair in select(frames["pairs"], **where, size=row["size"]).itertuples(index=False):
            if row["index"] in (pair.a, pair.b):
                logits.append(pair.logit)
                found += [pair.value if pair.a == row["index"] else 1 - pair.value] * (not np.isnan(pair.value))
        assert row["dominance"] == pytest.approx(np.mean(found)) and row["mosaic_logit"] == pytest.approx(
            np.mean(logits)
        )
        image = select(frames["images"], **where, index=row["index"]).squeeze()
        assert all(row[name] == image[name] for name in ("logit", "probability", "training_distance"))


def test_correlations_are_of_a_classs_images_and_their_mean_keeps_the_sign_in_resamples_too(study, made_up, select):
    """Networks of a class share their resamples, two classes do not: they are taken from different places."""
    counts = np.concatenate(list(resampled_counts(made_up.PAIRED))).astype(int)
    rows = single.correlations(study)
    assert len(rows) == 2 * 2 * 4 * len(made_up.LABELS) and (rows["n"] == made_up.PAIRED).all()
    assert ((rows["low"] <= rows["correlation"]) & (rows["correlation"] <= rows["high"])).all()
    for output in single.OUTPUTS:
        value, draws = single.mean_correlation(study, "tuned", output)
        found = select(rows, output=output, size="rescaled")
        assert value == pytest.approx(found["correlation"].mean())
        assert draws.shape == (2000,)
        of_all, of_draws = [], {number: [] for number in (0, 5, 1999)}
        for seed, (place, label) in itertools.product((0, 1), enumerate(made_up.LABELS)):
            here = select(single.images(study), seed=seed, label=label, size="rescaled")
            of_all.append(stats.spearmanr(here["dominance"], here[output]).statistic)
            for number, sizes in of_draws.items():
                drawn = here.loc[here.index.repeat(counts[number - place])]
                sizes.append(stats.spearmanr(drawn["dominance"], drawn[output]).statistic)
        assert found.sort_values("seed", kind="stable")["correlation"].tolist() == pytest.approx(of_all)
        assert [draws[number] for number in of_draws] == pytest.approx([*map(np.mean, of_draws.values())])


def test_correlations_are_averaged_over_networks_and_classes_with_intervals_over_images(study_of, made_up, select):
    frames = made_up.frames()
    made_up.put(frames["images"], "logit", 1.0, kind="tuned", seed=1, label="cat")  # a constant has no correlation
    study = study_of(frames)
    correlations, rows = single.correlations(study), single.over_classes(study)
    assert [*rows["output"]] == [*single.RELATIONS] * 2 and set(rows["kind"]) == {"tuned"}
    for row in rows.to_dict("records"):
        here = select(correlations, output=row["output"], size=row["size"])
        assert row["correlation"] == pytest.approx(here["correlation"].dropna().mean())
        assert -1 <= row["low"] <= row["correlation"] <= row["high"] <= 1
        value, draws = single.mean_correlation(study, "tuned", row["output"], row["size"])
        assert row["correlation"] == value and (row["classes"], row["networks"]) == (3, 2)
        assert (row["smallest"], row["largest"]) == (here["correlation"].min(), here["correlation"].max())
        assert (row["low"], row["high"]) == pytest.approx(np.quantile(draws, [0.025, 0.975]))


def test_the_mean_correlation_of_unrelated_numbers_has_zero_in_its_interval(study_of, made_up):
    """A mean of absolute values would lie above zero at any number of images."""
    frames, rng = made_up.frames(), np.random.default_rng(0)
    frames["images"]["logit"] = rng.permutation(len(frames["images"])).astype(float)
    rows = single.over_classes(study_of(frames))
    assert ((rows["low"] < 0) & (rows["high"] > 0))[rows["output"] == "logit"].all()
    assert ((rows["smallest"] < rows["correlation"]) & (rows["correlation"] < rows["largest"])).all()


def test_shown_are_the_classes_of_the_highest_and_the_lowest_correlation_with_the_logit(study_of, made_up, select):
    frames = made_up.frames()
    keys = ["kind", "seed", "label", "index"]
    rescaled = select(single.images(study_of(frames)), size="rescaled")
    dominance = frames["images"][keys].merge(rescaled, on=keys, how="left")["dominance"]
    for (label, sign), (seed, factor) in itertools.product((("bird", 1), ("cat", -1)), ((0, 1), (1, -1))):
        where = {"kind": "tuned", "seed": seed, "label": label}  # the second network has it the other way round
        made_up.put(frames["images"], "logit", factor * sign * dominance, **where)
    rows = single.shown(study_of(frames), "tuned")
    assert list(rows["label"].unique()) == ["bird", "cat"] and set(rows["seed"]) == {0}
    assert len(rows) == 2 * made_up.PAIRED


@pytest.mark.filterwarnings("error")
def test_classes_without_a_correlation_have_no_number_and_are_shown_last(study_of, made_up, select):
    frames = made_up.frames(ONE)
    made_up.put(frames["pairs"], "value", NAN, label="cat")
    made_up.put(frames["pairs"], "value", 0.5, label="ship")
    study = study_of(frames, ONE)
    assert list(single.shown(study, "tuned")["label"].unique()) == ["bird"]
    value, draws = single.mean_correlation(study, "tuned", "logit")
    of_bird = select(single.correlations(study), label="bird", output="logit", size="rescaled")
    assert value == of_bird["correlation"].item() < 0
    assert not np.isnan(draws).any()
    assert (single.over_classes(study)["classes"] == 1).all()
    frames["pairs"]["value"] = NAN
    study = study_of(frames, ONE)
    value, draws = single.mean_correlation(study, "tuned", "probability")
    assert np.isnan(value) and np.isnan(draws).all()
    rows = single.over_classes(study)
    assert rows.drop(columns=["kind", "size", "output", "classes", "networks"]).isna().all(axis=None)
    assert (rows["classes"] == 0).all() and len(single.shown(study, "tuned")) == made_up.PAIRED


def test_what_is_left_is_the_correlation_of_the_residuals_of_ranks():
    """Spearman's partial correlation, by least squares on ranks; resamples by repeating the images."""
    rng = np.random.default_rng(3)
    given = rng.normal(size=40)
    x, y = given + rng.normal(size=40), given + rng.normal(size=40)

    def by_hand(x, y, given):
        ranks = [stats.rankdata(values) for values in (x, y, given)]
        design = np.c_[np.ones(len(x)), ranks[2]]
        left = [values - design @ np.linalg.lstsq(design, values)[0] for values in ranks[:2]]
        return np.corrcoef(*left)[0, 1]

    value, draws = single.partial(x, y, given)
    assert value == pytest.approx(by_hand(x, y, given)) and value < stats.spearmanr(x, y).statistic - 0.2
    counts = np.concatenate(list(resampled_counts(40))).astype(int)
    for number in (0, 7, 1999):
        drawn = np.repeat(np.arange(40), counts[number])
        assert draws[number] == pytest.approx(by_hand(x[drawn], y[drawn], given[drawn]))


def test_untrained_networks_stand_beside_trained_ones(study_of, made_up, select):
    networks = (*made_up.NETWORKS, ("untrained", 0))
    study = study_of(made_up.frames(networks), networks)
    rows = single.over_classes(study)
    assert set(rows["kind"]) == {"tuned", "untrained"} and len(rows) == 2 * 2 * 4
    assert (select(rows, kind="untrained")["networks"] == 1).all()
