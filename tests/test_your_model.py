import sys

import pytest
import torch
from torch import nn

from xai_lib import models, pretrained, your_model

SOURCE = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self, n_classes=4, width=2):
        super().__init__(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(width, n_classes))

def number():
    return 3

ready = Net()
text = "no callable"
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Name of a module of the user's, on the path."""
    (tmp_path / "users_network.py").write_text(SOURCE)
    (tmp_path / "broken_network.py").write_text("import not_installed_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    yield "users_network"
    sys.modules.pop("users_network", None)


def loaded(package, state, tmp_path, **arguments):
    torch.save(state, tmp_path / "net.pt")
    return your_model.load_model(f"{package}:Net", tmp_path / "net.pt", **arguments)


def test_a_class_and_a_function_with_arguments_give_a_network_in_evaluation_mode(package):
    model = your_model.load_model(f"{package}:Net", arguments="n_classes=7, width=3")
    assert not model.training
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 7)
    built = your_model.load_model(
        "xai_lib.models:build", arguments="architecture='resnet8', n_classes=5, width=4, seed=1"
    )
    assert pretrained.state_digest(built) == pretrained.state_digest(models.build("resnet8", 5, width=4, seed=1))
    assert your_model.load_model("torchvision.models:resnet18", arguments="num_classes=3").fc.out_features == 3


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("users_network", ValueError, "'package.module:callable'"),
        ("users_network:", ValueError, "'package.module:callable'"),
        ("nowhere_to_be_found:Net", ValueError, "Expected to import nowhere_to_be_found.*PYTHONPATH"),
        ("broken_network:Net", ValueError, "not_installed_at_all"),
        ("users_network:net", ValueError, "of users_network: Net, number, ready. Got 'net'"),
        ("users_network:text", TypeError, "Got an object of type str"),
        ("users_network:ready", TypeError, "Got an object of type Net"),
        ("users_network:number", TypeError, "return a torch.nn.Module. Got int"),
    ],
)
def test_a_network_that_cannot_be_found_is_explained(package, spec, error, message):
    with pytest.raises(error, match=message):
        your_model.load_model(spec)


@pytest.mark.parametrize("arguments", ["4", "n_classes", "n_classes=", "**{}", "n_classes=print()", "a=1)(b=2"])
def test_arguments_are_names_with_plain_values(package, arguments):
    with pytest.raises(ValueError, match="Expected arguments by name with plain values"):
        your_model.load_model(f"{package}:Net", arguments=arguments)


def test_arguments_that_the_callable_does_not_take_are_named(package):
    with pytest.raises(ValueError, match="unexpected keyword argument 'colour'"):
        your_model.load_model(f"{package}:Net", arguments="colour='red'")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
    ],
)
def test_a_checkpoint_is_read_whatever_it_is_wrapped_in(package, tmp_path, wrap):
    state = your_model.load_model(f"{package}:Net").state_dict()
    model = loaded(package, wrap(state), tmp_path)
    assert not model.training
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_a_checkpoint_that_does_not_fit_names_the_tensors_at_fault(package, tmp_path):
    state = your_model.load_model(f"{package}:Net", arguments="width=6").state_dict()
    state["extra.weight"] = state.pop("4.bias")
    with pytest.raises(ValueError) as error:
        loaded(package, state, tmp_path)
    assert "the 4 tensors of Net" in str(error.value)
    assert "1 missing: 4.bias" in str(error.value)
    assert "1 unexpected: extra.weight" in str(error.value)
    assert "3 of another shape: 0.weight [6, 3, 3, 3] for [2, 3, 3, 3]" in str(error.value)


def test_only_the_first_of_many_tensors_are_named(package, tmp_path):
    with pytest.raises(ValueError, match="20 unexpected: x0, x1, x2, x3, x4, …"):
        loaded(package, {f"x{number}": torch.zeros(1) for number in range(20)}, tmp_path)


def test_a_networks_own_module_prefix_is_left_alone(tmp_path, package):
    inner = nn.Linear(2, 2)
    (tmp_path / "wrapped_network.py").write_text(
        "from torch import nn\ndef make():\n    return nn.ModuleDict({'module': nn.Linear(2, 2)})"
    )
    torch.save(nn.ModuleDict({"module": inner}).state_dict(), tmp_path / "net.pt")
    model = your_model.load_model("wrapped_network:make", tmp_path / "net.pt")
    assert torch.equal(model["module"].weight, inner.weight)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"rubbish", "Expected a state dict in"),
        (b"", "Expected a state dict in"),
        (nn.Linear(2, 2), "Expected a state dict in"),
        ([1, 2], "Got list"),
        ({"epoch": 3, "optimiser": "x"}, r"Got the entries \['epoch', 'optimiser'\]"),
    ],
)
def test_a_file_without_a_state_dict_is_refused(package, tmp_path, content, message):
    file = tmp_path / "net.pt"
    file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    with pytest.raises(ValueError, match=message):
        your_model.load_model(f"{package}:Net", file)
    with pytest.raises(FileNotFoundError, match=r"Expected a checkpoint in .*nowhere.pt"):
        your_model.load_model(f"{package}:Net", tmp_path / "nowhere.pt")


def test_networks_of_torchvision_take_a_checkpoint_or_their_published_weights(tmp_path, monkeypatch):
    model = your_model.load_model("torchvision.models:resnet18", arguments="num_classes=3")
    torch.save(model.state_dict(), tmp_path / "net.pt")
    again = your_model.load_model("torchvision:resnet18", tmp_path / "net.pt", arguments="num_classes=3")
    assert pretrained.state_digest(again) == pretrained.state_digest(model)
    with pytest.raises(ValueError, match="Expected a checkpoint, or one of torchvision:resnet18, torchvision:resnet50"):
        your_model.load_model("torchvision:resnet34")
    with pytest.raises(ValueError, match=r"classifier of torchvision.* Got 'torchvision:resnet_18'"):
        your_model.load_model("torchvision:resnet_18", tmp_path / "net.pt")
    monkeypatch.setattr(pretrained, "pretrained", lambda name: ("published", name))
    assert your_model.load_model("torchvision:googlenet") == ("published", "torchvision:googlenet")


class Answer(nn.Module):
    """Returns what it was given to return."""

    def __init__(self, output):
        super().__init__()
        self.output = output
        self.layer = nn.Dropout()

    def forward(self, x):
        return self.output


IMAGES = torch.zeros(2, 3, 8, 8)


@pytest.mark.parametrize("output", [torch.tensor([[0.2, 0.8, 1.0], [3.0, -1.0, 0.0]]), torch.zeros(2, 3)])
def test_finite_logits_pass(output):
    assert your_model.check_model(Answer(output).eval(), IMAGES, 3) is None


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        ((torch.zeros(2, 3), 1), TypeError, "Got tuple"),
        (torch.zeros(2, 3, dtype=torch.int64), TypeError, "Got torch.int64"),
        (torch.zeros(2, 4), ValueError, r"Expected logits \[2,3\].* Got shape \[2, 4\]"),
        (torch.zeros(2, 3, 1, 1), ValueError, r"Got shape \[2, 3, 1, 1\]"),
        (torch.zeros(1, 3), ValueError, r"Got shape \[1, 3\]"),
        (torch.tensor([[0, 1, 2], [0, float("nan"), 1]]), ValueError, "Got NaN or infinity"),
        (torch.tensor([[0, 1, 2], [0, float("inf"), 1]]), ValueError, "Got NaN or infinity"),
        (torch.randn(2, 3).softmax(1), ValueError, "leave out the softmax"),
    ],
)
def test_anything_else_is_refused(output, error, message):
    with pytest.raises(error, match=message):
        your_model.check_model(Answer(output).eval(), IMAGES, 3)


def test_training_mode_and_images_that_do_not_fit_are_refused():
    model = Answer(torch.zeros(2, 3)).eval()
    model.layer.train()
    with pytest.raises(ValueError, match=r"call model.eval"):
        your_model.check_model(model, IMAGES, 3)
    with pytest.raises(ValueError, match=r"to take images \[2, 3, 8, 8\] on cpu. Got: "):
        your_model.check_model(nn.Conv2d(1, 3, 1).eval(), IMAGES, 3)
