import pytest
import torch

from xai_lib.training.arithmetic import Numerics, has_bfloat16, numerics

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "capabilities, expected",
    [
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"bf16": True, "neon": True}, "bfloat16"),
        ({"avx512_f": True, "avx512_bf16": False, "avx2": True}, "float32"),
        ({}, "float32"),
    ],
)
def test_bfloat16_only_where_a_processor_has_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert numerics(CPU) == Numerics(expected, tf32=False, compiled="no")
    assert has_bfloat16(CPU) == (expected == "bfloat16")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_networks_are_compiled_on_a_gpu():
    assert numerics(torch.device("cuda")).compiled == "reduce-overhead"
