import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from xai_lib import models, pretrained, your_model
from xai_lib.explainers import cams, class_score
from xai_lib.explainers.adapter import raw_maps
from xai_lib.explainers.gradients import gradient
from xai_lib.metrics.causal import deletion, deletion_curve
from xai_lib.metrics.masking import masked_outputs

SOURCE = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self, n_classes=4, width=2):
        super().__init__(nn.Conv2d(3, width, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(width, n_classes))

def number():
    return 3

def odd(how):
    return {"key": lambda: {}["width"], "zero": lambda: 1 / 0, "assert": lambda: nn.Linear(2, 2).missing}[how]()

ready = Net()
text = "no callable"
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Name of a module of the user's, on the path."""
    (tmp_path / "users_network.py").write_text(SOURCE)
    (tmp_path / "broken_network.py").write_text("import not_installed_at_all")
    (tmp_path / "unfinished_network.py").write_text("def make(:\n    pass")
    (tmp_path / "leaving_network.py").write_text("import sys; sys.exit('Usage: train.py')")
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
        ("unfinished_network:make", ValueError, "Expected to import unfinished_network. Got: invalid syntax"),
        ("leaving_network:make", ValueError, "Expected to import leaving_network. Got: Usage: train.py. Start"),
        (".users_network:Net", ValueError, "Expected to import .users_network. Got: the 'package' argument"),
        ("users_network:net", ValueError, "of users_network: Net, number, odd, ready. Got 'net'"),
        ("users_network:text", TypeError, "Got an object of type str"),
        ("users_network:ready", TypeError, "Got an object of type Net"),
        ("users_network:number", TypeError, "return a torch.nn.Module. Got int"),
    ],
)
def test_a_network_that_cannot_be_found_is_explained(package, spec, error, message):
    with pytest.raises(error, match=message):
        your_model.load_model(spec)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("key", "KeyError: 'width'"),
        ("zero", "division by zero"),
        ("assert", "'Linear' object has no attribute 'missing'"),
    ],
)
def test_whatever_a_callable_raises_is_told_in_a_line(package, how, said):
    with pytest.raises(ValueError, match=rf"users_network:odd to take .*'{how}'}}. Got: {said}\.$"):
        your_model.load_model(f"{package}:odd", arguments=f"how='{how}'")


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
        lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
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
        (nn.Linear(2, 2), "Got: other objects, which are not read since they could run code"),
        ({0: torch.zeros(1), "a": torch.zeros(1)}, r"Got the entries \[0, 'a'\]"),
        ({("a", 1): torch.zeros(1)}, r"Got the entries"),
        ({"0.weight": torch.ones(2, 3, 3, 3).to_sparse()}, "1 of another kind: 0.weight"),
        ({"0.weight": torch.ones(2, 3, 3, 3) * 1j}, "1 of another kind: 0.weight"),
        ([1, 2], "Got list"),
        ({"epoch": 3, "optimiser": "x"}, r"Got the entries \['epoch', 'optimiser'\]"),
    ],
)
def test_a_file_without_a_state_dict_is_refused(package, tmp_path, content, message):
    file = tmp_path / "net.pt"
    file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    with pytest.raises(ValueError, match=message) as error:
        your_model.load_model(f"{package}:Net", file)
    assert str(error.value).isprintable()  # one line, without colours of a terminal
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
    monkeypatch.setattr(pretrained, "pretrained", lambda name: nn.Identity(name))
    assert isinstance(your_model.load_model("torchvision:googlenet"), nn.Identity)


class Ends(nn.Module):
    """Logits of two random convolutions, handed on by a function."""

    def __init__(self, end, classes=4):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head, self.end = nn.Linear(6, classes), end

    def forward(self, x):
        return self.end(self.head(self.body(x)))


class Result(OrderedDict):
    """As transformers have it: a dictionary with attributes."""

    def __getattr__(self, name):
        return self[name]


@dataclass(slots=True)
class Slots:
    logits: torch.Tensor

    @property
    def twice(self):
        return self.logits * 1


Named = namedtuple("Named", "logits aux")
OUTPUTS = {
    "tuple": (lambda y: (y, 2 * y), "0"),
    "the last of a list": (lambda y: [2 * y, y], 1),
    "dict": (lambda y: {"out": y, "aux": 2 * y}, "out"),
    "ModelOutput": (lambda y: Result(loss=None, logits=y), "logits"),
    "namedtuple": (lambda y: Named(y, None), "logits"),
    "object": (lambda y: SimpleNamespace(logits=y), "logits"),
    "object with slots": (lambda y: Slots(y), "logits"),
    "property": (lambda y: SimpleNamespace(both=Slots(y)).both, "twice"),
}


@pytest.fixture
def built(monkeypatch):
    """Function (end, arguments of `Ends`) -> spec of a network of the user's."""

    def make(end, **arguments):
        torch.manual_seed(0)
        model = Ends(end, **arguments).eval()
        monkeypatch.setitem(sys.modules, "made_up_network", SimpleNamespace(make=lambda: model))
        return "made_up_network:make"

    return make


@pytest.mark.parametrize("kind", OUTPUTS)
def test_the_logits_are_named_among_several_outputs(built, kind):
    end, which = OUTPUTS[kind]
    spec, x = built(end), torch.randn(2, 3, 8, 8)
    several = your_model.load_model(spec)
    with pytest.raises(TypeError, match=r"one float tensor of logits. Got \w+: say which part .*logits='0'"):
        your_model.check_model(several, x, 4)
    refused, target = r"logits \[\d+,C\]. Got \w+: say which part", torch.tensor([1, 2])
    with pytest.raises(ValueError, match=refused):
        cams.grad_cam(several, x, score=class_score(target))
    with pytest.raises(ValueError, match=refused):
        deletion(several, x, torch.rand(2, 8, 8), target, index=torch.arange(2))
    one = your_model.load_model(spec, logits=which)
    your_model.check_model(one, x, 4)
    assert torch.equal(one(x), several.head(several.body(x)))
    assert cams.grad_cam(one, x, score=class_score(torch.tensor([1, 2]))).isfinite().all()
    with pytest.raises(ValueError, match=r"Expected logits as one of the outputs, .*Got 'nothing'"):
        your_model.load_model(spec, logits="nothing")(x)


@pytest.mark.parametrize("shape", [(-1, 1), (-1,)])
def test_one_logit_is_two_classes_in_the_notebook_and_refused_elsewhere(built, shape, capsys):
    x, target = torch.randn(3, 3, 8, 8), torch.tensor([1, 0, 1])
    model = your_model.load_model(built(lambda y: y.reshape(shape), classes=1))
    refused = pytest.raises(ValueError, match=r"one logit y: return \[0, y\], .* as your_model.two_classes does")
    with refused:
        your_model.check_model(model, x, 2)
    with refused:
        cams.grad_cam(model, x, score=class_score(torch.zeros(3, dtype=torch.int64)))
    with refused:
        deletion(model, x, torch.rand(3, 8, 8), 0 * target, index=torch.arange(3))
    both = your_model.two_classes(model, x)
    assert "one logit" in capsys.readouterr().out
    your_model.check_model(both, x, 2)
    y = model(x).reshape(3)
    torch.testing.assert_close(both(x).softmax(1)[:, 1], y.sigmoid())
    torch.testing.assert_close(both(x), torch.stack([0 * y, y], 1))
    assert your_model.two_classes(both, x) is both and capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda y: y.softmax(1), "rows that sum to 1"),
        (lambda y: 100 * y.softmax(1), "rows that sum to 100"),
        (lambda y: y.sigmoid(), "values that stay within 0 to 1"),
        (lambda y: 100 * y.sigmoid(), "values that stay within 0 to 100"),
        (lambda y: y.relu(), None),
        (lambda y: 0.5 + y / 100, None),
        (lambda y: y.log_softmax(1), None),
        (lambda y: y, None),
    ],
)
def test_probabilities_are_told_from_logits(built, end, message):
    model, x = your_model.load_model(built(end)), torch.randn(4, 3, 8, 8)
    if message is None:
        your_model.check_model(model, x, 4)
    else:
        with pytest.raises(ValueError, match=f"Got {message}: leave out the softmax or sigmoid"):
            your_model.check_model(model, x, 4)


def test_each_of_several_labels_has_its_own_sigmoid(built):
    x, target, index = torch.randn(3, 3, 8, 8), torch.tensor([1, 0, 3]), torch.arange(3)
    spec = built(lambda y: y + 1)
    labels, one_of_all = (your_model.load_model(spec, multi_label=multi) for multi in (True, False))
    whole = labels(x).sigmoid().gather(1, target[:, None])[:, 0]
    curve = deletion_curve(labels, x, torch.rand(3, 8, 8), target, index=index, step=32)
    torch.testing.assert_close(curve[:, 0], whole)
    torch.testing.assert_close(masked_outputs(labels, x, torch.ones(3, 8, 8), target).probability.float(), whole)
    torch.testing.assert_close(masked_outputs(labels, x, torch.ones(3, 8, 8), target).logit.float(),
                               labels(x).gather(1, target[:, None])[:, 0])  # fmt: skip
    settings = {"n_masks": 6, "p": 1.0}
    for model, expected in ((labels, whole), (one_of_all, labels(x).softmax(1).gather(1, target[:, None])[:, 0])):
        maps = raw_maps(model, "rise", x, target, index, settings=settings)
        torch.testing.assert_close(maps, expected[:, None, None].expand(-1, 8, 8))
    torch.testing.assert_close(
        raw_maps(labels, "gradient", x, target, index), raw_maps(one_of_all, "gradient", x, target, index)
    )


@pytest.mark.parametrize("kind", ["script", "trace", "export"])
def test_a_file_with_its_own_code_is_a_network(tmp_path, built, kind):
    model, x = your_model.load_model(built(torch.relu)), torch.randn(3, 3, 16, 16)
    file = tmp_path / ("net.pt2" if kind == "export" else "net.pt")
    if kind == "export":
        torch.export.save(torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("b")},)), file)
    else:
        (torch.jit.script(model.body) if kind == "script" else torch.jit.trace(model, x)).save(file)
    loaded, score = your_model.load_model(str(file)), class_score(torch.tensor([1, 2]))
    expected = (model.body if kind == "script" else model)(x)
    torch.testing.assert_close(loaded(x), expected)
    your_model.check_model(loaded, x[:2], None)
    plain = model.body if kind == "script" else model
    torch.testing.assert_close(gradient(loaded, x[:2], score=score), gradient(plain, x[:2], score=score))
    if kind == "export":
        torch.testing.assert_close(
            cams.grad_cam(loaded, x[:2], score=score), cams.grad_cam(model, x[:2], score=score, layer="body.1")
        )
    else:
        with pytest.raises(ValueError, match="Got TorchScript: take a method without a layer"):
            cams.grad_cam(loaded, x[:2], score=score)


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("touched"),)


@pytest.mark.parametrize("name", ["net.pt", "net.pt2", "net.ts"])
def test_a_file_that_is_no_network_is_refused_and_not_run(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for content in (b"rubbish", b"", {"0.weight": torch.zeros(1)}, Evil()):
        Path(name).write_bytes(content) if isinstance(content, bytes) else torch.save(content, name)
        with pytest.raises(ValueError, match=rf"Expected in {name} a network.*A state dict is a checkpoint"):
            your_model.load_model(name)
    assert not Path("touched").exists()
    with pytest.raises(FileNotFoundError, match="Expected a network in other"):
        your_model.load_model("other.pt")


def test_networks_of_timm_are_loaded_by_name(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    model = your_model.load_model("timm:resnet18", arguments="pretrained=False, num_classes=3")
    torch.save(model.state_dict(), tmp_path / "net.pt")
    again = your_model.load_model("timm:resnet18", tmp_path / "net.pt", arguments="num_classes=3")
    assert pretrained.state_digest(again) == pretrained.state_digest(model) and not again.training
    with pytest.raises(ValueError, match=r"network of timm, such as .*resnet.* Got 'timm:resnet_18'"):
        your_model.load_model("timm:resnet_18")

    def offline(*_, pretrained, **__):
        raise OSError("no connection")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        ValueError, match=r"weights of timm:resnet18 from its hub. Got: no connection.*pretrained=False"
    ):
        your_model.load_model("timm:resnet18")
    assert pretrained.inputs("timm:resnet18").size == 224 and pretrained.inputs("timm:nothing") is None


def test_a_checkpoint_from_before_batches_were_counted_is_read(tmp_path, monkeypatch):
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    monkeypatch.setitem(sys.modules, "made_up_network", SimpleNamespace(make=lambda: model))
    torch.save(
        {name: tensor for name, tensor in model.state_dict().items() if "batches" not in name}, tmp_path / "n.pt"
    )
    your_model.load_model("made_up_network:make", tmp_path / "n.pt")


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
    assert torch.equal(your_model.check_model(Answer(output).eval(), IMAGES, 3), output)


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


def refuses(x):
    assert x.shape[-1] == 3, "Expected channels last.\nGot them first"
    return x


@pytest.mark.parametrize("ask", [your_model.two_classes, lambda model, x: your_model.check_model(model, x, None)])
@pytest.mark.parametrize(
    ("forward", "said"),
    [
        (refuses, "Expected channels last"),
        (lambda x: {}["pixel_values"], "KeyError: 'pixel_values'"),
        (lambda x: x.no_such, "'Tensor' object has no attribute 'no_such'"),
        (lambda x: torch.zeros(2, 3)[:, 5], "IndexError: index 5 is out of bounds"),
    ],
)
def test_whatever_a_forward_raises_is_told_in_a_line(ask, forward, said):
    model = Ends(None).eval()
    model.forward = forward
    with pytest.raises(
        ValueError, match=rf"^Expected the model to take images \[2, 3, 8, 8\] on cpu. Got: {said}.*\.$"
    ):
        ask(model, IMAGES)


def test_logits_that_are_others_each_time_are_refused(built):
    model, x = your_model.load_model(built(nn.functional.dropout)), torch.randn(4, 3, 8, 8)
    with pytest.raises(ValueError, match=r"Expected the same logits for the same images. .* functional.dropout"):
        your_model.check_model(model, x, 4)
