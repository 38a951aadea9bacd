"""Maps computed elsewhere as explainers of their own: files of maps, or a function of another library."""

import hashlib
import inspect
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from xai_lib import your_model
from xai_lib.data import Split
from xai_lib.data.listing import SUFFIXES
from xai_lib.data.split import first_of_each_class
from xai_lib.explainers.registry import EXPLAINERS, Layer, Score, register
from xai_lib.forward import device_of, undisturbed

MakeMaps = Callable[[nn.Module, Tensor, Tensor], Tensor | np.ndarray]  # (model, x, target) -> maps
FAMILY = "elsewhere"
_PROBED = 4  # images whose maps stand for a function in the store's keys
_NAMED = 3  # images that an error lists before it only counts


def parse_maps(given: str) -> dict[str, str]:
    """Names, and where the maps of each are; ValueError if a part is not of this form, or a name stands twice.

    Example:
        >>> parse_maps("mine=a, b.npy, theirs=package.maps:gradients")
        {'mine': 'a, b.npy', 'theirs': 'package.maps:gradients'}
    """
    parts = re.split(r",(?=\s*[\w.+-]+\s*=)", given) if given.strip() else []
    pairs = [tuple(map(str.strip, part.partition("=")[::2])) for part in parts]
    if not all(name and where for name, where in pairs) or len(dict(pairs)) < len(pairs):
        raise ValueError(f"Expected maps as 'name=file.npy, other=package.module:function'. Got {given!r}.")
    return dict(pairs)


def enter(name: str, maps: np.ndarray | Tensor | Path | str | MakeMaps, images: Split, network: nn.Module) -> str:
    """Enter maps computed elsewhere as an explainer, and return its name; maps entered so before are replaced.

    Args:
        name: a new one, of letters, digits and ``.+-_``.
        maps: an array [N,H,W], or [N,3,H,W] with a value per colour, in the order of `images`; a file ``.npy`` or
            ``.npz`` of one; a file ``.npz`` or a folder of ``.npy`` or ``.npz`` with one map an image, named like the
            image's file; or a function (model, x, target) -> maps [B,H,W], [B,1,H,W] or [B,3,H,W] of normalised images
            and classes, int64 [B], or the ``package.module:function`` of one.
        images: what is explained, labelled by the true classes, which maps in files must be of.
        network: the network that the maps are of, in evaluation mode.

    Maps are raw and signed, of the images' size, or on a coarser grid of the same shape. Those in files explain these
    images as they are by this network; asked for others they raise a ValueError, so that scores for which images or
    weights change are left out. A function is called for whatever is asked. In the store maps lie under the hash of the
    array; or of the function's code and of what it makes of some images.

    FileNotFoundError if there is no such file; TypeError, ValueError if the maps are not such, or the name is taken.
    """
    taken = name in EXPLAINERS.entries and EXPLAINERS.about(name).family != FAMILY
    if taken or not re.fullmatch(r"[\w.+-]+", name):
        raise ValueError(f"Expected a new name for maps, of letters, digits and '.+-_'. Got {name!r}.")
    if isinstance(maps, str) and ":" in maps and not Path(maps).exists():
        maps = your_model._imported(maps)
    made = callable(maps)
    explain, colours = (_of_function if made else _of_array)(name, maps, images, network)
    EXPLAINERS.entries.pop(name, None)
    register(name, paper="computed elsewhere", family=FAMILY, class_specific=made, colours=colours)(explain)
    return name


def _of_array(name: str, maps: object, images: Split, network: nn.Module) -> tuple[Callable[..., Tensor], bool]:
    """An explainer that looks maps up, and whether these have colours."""
    found = _checked(name, maps if isinstance(maps, np.ndarray | Tensor) else _read(Path(str(maps)), images), images)
    images = images.materialised()
    places = {number: place for place, number in enumerate(images.index.tolist())}
    first = images.subset([0])
    answer = _answer(network, first.normalise(first.images.to(device_of(network))))

    def explain(
        model: nn.Module, x: Tensor, *, seed: int, index: Tensor, score: Score | None = None, layer: Layer = None
    ) -> Tensor:
        rows = torch.tensor([places.get(number, 0) for number in index.tolist()])
        own = images.normalise(images.images[rows.to(images.images.device)].to(x.device))
        one = first.normalise(first.images.to(x.device))
        same = own.shape == x.shape and torch.allclose(own, x.float(), atol=1e-4)
        if not same or not torch.allclose(_answer(model, one), answer, rtol=1e-3, atol=1e-3):
            raise ValueError(f"Expected the images and the network that {name!r} was computed of. Got changed ones.")
        return found[rows].to(x.device)

    known = f"{list(found.shape)}|{images.digest}".encode() + found.numpy().tobytes()
    explain.fixed, explain.content = True, hashlib.sha256(known).hexdigest()
    return explain, found.ndim == 4


def _of_function(name: str, make: MakeMaps, images: Split, network: nn.Module) -> tuple[Callable[..., Tensor], bool]:
    """An explainer that calls a function for each class that a score picks, and whether its maps have colours."""

    def maps_of(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        own = [(parameter, parameter.grad) for parameter in model.parameters()]
        try:
            with undisturbed(model, x) as shown, torch.enable_grad():
                for parameter, _ in own:
                    parameter.grad = None
                maps = make(model, shown, target.clone())
        finally:
            for parameter, gradient in own:  # tools leave theirs behind
                parameter.grad = gradient
        return _checked(name, maps, x).to(x.device)

    def explain(model: nn.Module, x: Tensor, *, score: Score, layer: Layer = None) -> Tensor:
        numbers = torch.arange(len(images.classes), dtype=torch.float32, device=x.device).expand(len(x), -1)
        picked = score(numbers)  # the classes whose logits it picks, unless it does anything else
        if not torch.equal(score(numbers**2 + 1), picked**2 + 1) or not torch.equal(picked, picked.round()):
            raise ValueError("Expected the logit of one class to be explained. Got another score.")
        targets = picked.long()
        maps = [maps_of(model, x, target) for target in targets.reshape(len(x), -1).unbind(1)]
        return torch.stack(maps, 1) if targets.ndim == 2 else maps[0]

    probes, device = images.subset(first_of_each_class(images.labels, _PROBED)).materialised(), device_of(network)
    shown = probes.normalise(probes.images.to(device))
    found = maps_of(network, shown, probes.labels.to(device)).cpu()
    try:
        code = inspect.getsource(inspect.getmodule(make))
    except (OSError, TypeError):  # made elsewhere than in a file
        code = ""
    explain.content = hashlib.sha256(code.encode() + found.numpy().tobytes()).hexdigest()
    return explain, found.ndim == 4


def _answer(network: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return network(x.clone()).float().cpu()


def _checked(name: str, maps: object, images: Split | Tensor) -> Tensor:
    """Maps as float32 [N,H,W] or [N,3,H,W] on the processor; of a split, or of normalised images [N,3,H,W]."""
    n, _, height, width = images.shape if isinstance(images, Tensor) else images.images.shape
    if not isinstance(maps, np.ndarray | Tensor):
        raise TypeError(f"Expected the maps {name!r} as an array or a tensor. Got {type(maps).__name__}.")
    if isinstance(maps, np.ndarray) and maps.dtype.kind not in "biuf":
        raise TypeError(f"Expected the maps {name!r} as numbers. Got {maps.dtype}.")
    found = torch.as_tensor(np.ascontiguousarray(maps) if isinstance(maps, np.ndarray) else maps).detach().cpu().float()
    found = found[:, 0] if found.ndim == 4 and found.shape[1] == 1 else found
    coarse = found.ndim == 3 and 0 < found.shape[1] <= height and found.shape[2] * height == found.shape[1] * width
    if not (coarse or found.shape[1:] == (3, height, width)) or len(found) != n:
        raise ValueError(
            f"Expected the maps {name!r} as [{n},{height},{width}]: one for each image, of its size or on a coarser "
            f"grid of the same shape. Got shape {list(maps.shape)}."
        )
    if not found.isfinite().all():
        bad = (~found.flatten(1).isfinite().all(1)).nonzero().flatten().tolist()
        raise ValueError(f"Expected finite maps {name!r}. Got NaN or infinity at the positions {bad[:_NAMED]}.")
    return found.contiguous()


def _read(file: Path, images: Split) -> np.ndarray:
    """The maps in a file or a folder, in the order of the images."""
    if file.is_dir():
        found = sorted(one for one in file.rglob("*") if one.suffix in (".npy", ".npz"))
        loaded = {one.relative_to(file).with_suffix("").as_posix(): _loaded(one) for one in found}
        return _by_name(file, {name: only for name, maps in loaded.items() for only in maps.values()}, images)
    maps = _loaded(file)
    (first, *_) = maps.values()
    return first if len(maps) == 1 and first.ndim > 2 else _by_name(file, maps, images)


def _loaded(file: Path) -> dict[str, np.ndarray]:
    if not file.is_file():
        raise FileNotFoundError(f"Expected maps in {file}: a file .npy or .npz, or a folder. Got no such file.")
    try:
        with file.open("rb") as opened:
            loaded = np.load(opened, allow_pickle=False)
            maps = {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"Expected {file} as NumPy writes arrays of numbers. Got: {error}") from error
    if not maps:
        raise ValueError(f"Expected maps in {file}. Got an empty file.")
    return maps


def _by_name(where: Path, maps: Mapping[str, np.ndarray], images: Split) -> np.ndarray:
    """Maps under the names of the images' files, with the folder of their class or without it."""
    if images.factors is None or "file" not in images.factors:
        raise ValueError(f"Expected images from files, or maps in one array, in their order. Got {where} by names.")
    known = {_stem(name): one for name, one in maps.items()}
    names = [_stem(file) for file in images.factors["file"]]
    if not known.keys() & set(names):
        names = [name.rpartition("/")[2] for name in names]
    missing = sorted(set(names) - known.keys())
    if missing or len(set(names)) < len(names) or len(known) < len(maps):
        got = f"none for {len(missing)}, as {', '.join(missing[:_NAMED])}" if missing else "two of one name"
        raise ValueError(f"Expected in {where} one map for each of the {len(names)} images, named like it. Got {got}.")
    found = [known[name] for name in names]
    other = next((name for name in names if known[name].shape != found[0].shape), None)
    if other is not None:
        got = f"{other} of {known[other].shape}, others {found[0].shape}"
        raise ValueError(f"Expected maps of one size in {where}. Got {got}.")
    return np.stack(found)


def _stem(name: str) -> str:
    """The name of an image's file without its ending."""
    return name.rpartition(".")[0] if name.lower().endswith(SUFFIXES) else name
