"""Examples in docstrings run, and everything that is registered has one and names its source."""

import doctest
import importlib
import pkgutil
import re
import warnings

import pytest

import xai_lib
from xai_lib import explainers, losses, metrics


def examples():
    """Every example in the docstrings of the library, by the name of what it is an example of."""
    names = [
        found.name for found in pkgutil.walk_packages(xai_lib.__path__, "xai_lib.") if "__main__" not in found.name
    ]
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in names for test in finder.find(importlib.import_module(name))]
    return {test.name: test for test in found if test.examples}


EXAMPLES = examples()
DOCUMENTED = {
    **{f"explainer {name}": explainers.about(name) for name in explainers.names()},
    **{f"metric {name}": metrics.about(name) for name in metrics.names()},
}
LOSSES = (losses.supervised_contrastive, losses.triplet_semi_hard)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gives_what_it_says(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(EXAMPLES[name])
    assert results.failed == 0


def source(paper):
    """The first author that a paper is cited by; nothing for what is no method."""
    return re.findall(r"\b[A-Z]\w+", paper)[:1]


@pytest.mark.parametrize("entry", DOCUMENTED.values(), ids=DOCUMENTED)
def test_what_is_registered_has_an_example_and_names_its_source_and_direction(entry):
    text = entry.function.__doc__
    assert f"{entry.function.__module__}.{entry.function.__name__}" in EXAMPLES
    assert entry.title != entry.name
    assert source(entry.paper) or entry.paper == "control"
    assert all(author in text for author in source(entry.paper))
    if isinstance(entry, metrics.Metric):
        assert re.search(rf"\b{entry.better} is better\b", text, re.IGNORECASE)
        assert re.search("(contrastive|dominance|saliency) paper", entry.equation)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_has_an_example_and_names_its_source(loss):
    assert f"{loss.__module__}.{loss.__name__}" in EXAMPLES and re.search(r"\w+ et al\. \d{4}", loss.__doc__)
