"""Checks that many functions make of their arguments, each with one message."""

from collections.abc import Sequence

from torch import Tensor


def check_images(x: Tensor) -> None:
    """Refuse what is not a batch of normalised images: TypeError if no float tensor, ValueError if not [B,c,H,W]."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        got = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"Expected x as normalised images, a float tensor [B,c,H,W]. Got {got}.")
    if x.ndim != 4:
        raise ValueError(f"Expected x as images [B,c,H,W]. Got shape {list(x.shape)}.")


def in_a_line(error: BaseException) -> str:
    """What an error says, in its first line; of an error that says little, what it is as well."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return said if said and not isinstance(error, LookupError) else f"{type(error).__name__}: {said}".rstrip(": ")


def described(thing: object) -> str:
    """What a message says was got in the place of a tensor."""
    return f"{thing.dtype} with shape {list(thing.shape)}" if isinstance(thing, Tensor) else type(thing).__name__


def check_index(index: Tensor, images: Tensor) -> None:
    """Refuse image indices that are not one for each of `images` [B,…]: ValueError."""
    if len(index) != len(images):
        raise ValueError(f"Expected one index per image, {len(images)} in all. Got {len(index)}.")


def check_counts(**numbers: int) -> None:
    """Refuse what is not a whole number of at least 1: ValueError."""
    for name, number in numbers.items():
        if type(number) is not int or number < 1:
            raise ValueError(f"Expected {name} as a whole number of at least 1. Got {number!r}.")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse a value that is not among `choices`, of which there are several: ValueError."""
    if value not in choices:
        *others, last = map(repr, choices)
        raise ValueError(f"Expected {name} as {', '.join(others)} or {last}. Got {value!r}.")
