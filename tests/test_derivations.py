"""What the library computes equals what a plainer way, or another package, computes from the same inputs."""

import importlib
import pkgutil

import derivations
import pytest

for found in pkgutil.iter_modules(derivations.__path__):
    importlib.import_module(f"derivations.{found.name}")

PAIRS = [
    pytest.param(derivation, case, id=f"{derivation.of}-{derivation.name}-{number}")
    for derivation in derivations.DERIVATIONS
    for number, case in enumerate(derivation.cases)
]


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
@pytest.mark.parametrize(("derivation", "case"), PAIRS)
def test_the_library_equals_its_derivation(derivation, case):
    derivation.check(case)
