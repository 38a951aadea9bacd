import pytest
from torch import nn

from xai_lib.explainers.layers import find_layer


class WithDefault(nn.Sequential):
    def layers(self):
        return {"first": self[0], "second": self[1]}

    def default_layer(self):
        return self[1]


def test_a_dotted_name_finds_its_module(model):
    assert find_layer(model, "last.1") == ("last.1", model.last[1])


def test_a_module_finds_its_name(model):
    assert find_layer(model, model.last[1]) == ("last.1", model.last[1])


def test_none_is_the_models_default_layer():
    model = WithDefault(nn.ReLU(), nn.Tanh())
    assert find_layer(model, None) == ("1", model[1])


def test_names_of_the_models_own_list_are_found_too():
    model = WithDefault(nn.ReLU(), nn.Tanh())
    assert find_layer(model, "first") == ("first", model[0])


def test_a_shared_module_is_found_under_both_names():
    relu = nn.ReLU()
    model = nn.Sequential(relu, nn.Tanh(), relu)
    assert find_layer(model, "2")[1] is relu


def test_none_without_a_default_asks_for_a_name(model):
    with pytest.raises(ValueError, match=r"SmallNet has no default_layer\(\). Got None. Name one of: stem, .*head"):
        find_layer(model, None)


def test_a_wrong_name_lists_those_that_exist_nearest_first(model):
    with pytest.raises(
        ValueError, match=r"Expected the name of a layer of this model: last, .*stem.*head.*Got 'lasst'"
    ):
        find_layer(model, "lasst")


def test_the_whole_model_is_not_a_layer(model):
    with pytest.raises(ValueError, match=r"Got ''"):
        find_layer(model, "")


def test_a_module_of_another_model_is_refused(model):
    with pytest.raises(ValueError, match=r"Got a ReLU that is not part of it"):
        find_layer(model, nn.ReLU())


@pytest.mark.parametrize("layer", [3, ["last"]])
def test_a_layer_of_another_type_is_refused(model, layer):
    with pytest.raises(TypeError, match=r"Expected layer as a module, a dotted name or None"):
        find_layer(model, layer)


def test_a_model_that_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"Expected model as a torch.nn.Module. Got function"):
        find_layer(lambda x: x, "last")
