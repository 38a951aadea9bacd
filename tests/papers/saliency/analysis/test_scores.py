import pandas as pd
import pytest

from xai_lib.papers.saliency.analysis.scores import scores, under
from xai_lib.papers.saliency.method import lineup


def test_every_method_stands_once_under_either_reading():
    rows = [
        ("gradient", "absolute", 1.0),
        ("gradient", "signed", 2.0),
        ("rise", "absolute", 3.0),
        ("rise", "ranks", 4.0),
    ]
    frame = pd.DataFrame(rows, columns=["method", "reading", "value"])
    expected = {"absolute": [1.0, 3.0], "signed": [2.0, 3.0]}
    assert {reading: under(frame, reading)["value"].tolist() for reading in lineup.READINGS} == expected
    assert list(under(frame)) == ["method", "value"] and under(frame)["value"].tolist() == [1.0, 3.0]
    with pytest.raises(ValueError, match=r"out of absolute, signed\. Got 'ranks'"):
        under(frame, "ranks")


def test_all_metrics_of_the_true_class_have_both_readings(study_of, made_up):
    frames = made_up.frames(n_images=6)
    for part, metric in (("fidelity", "insertion"), ("repeated", "max-sensitivity")):
        made_up.put(frames[part], 9.0, metric=metric, reading="signed", method="lime")
    study = study_of(frames)
    by_reading = [scores(study, reading) for reading in lineup.READINGS]
    identity = ["seed", "method", "index", "metric"]
    assert all(not found.duplicated(identity).any() for found in by_reading)
    absolute, signed = (found.set_index(identity)["value"].sort_index() for found in by_reading)
    assert absolute.index.equals(signed.index) and absolute.max() < 1
    assert set(signed[signed == 9].index.get_level_values("metric")) == {"insertion", "max-sensitivity"}
    same = absolute[absolute == signed].index.get_level_values("method").unique()
    assert set(same) == set(lineup.ALL) - set(made_up.SIGNED)
