import torch

from xai_lib.metrics.rows import rows


def test_a_row_a_metric_and_image_with_what_holds_for_all():
    values = {"deletion": torch.tensor([0.5, float("nan"), 0.25]), "quantus": torch.tensor([1.0])}
    found = rows(torch.tensor([7, 3, 9]), values, target="predicted")
    assert found["index"].tolist() == [7, 3, 9, 7]
    assert found["metric"].tolist() == ["deletion"] * 3 + ["quantus"]
    assert found["value"].isna().tolist() == [False, True, False, False]
    assert found["value"].dropna().tolist() == [0.5, 0.25, 1.0]
    assert (found["target"] == "predicted").all()
