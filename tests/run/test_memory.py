import subprocess
import sys

import pytest

MEASURE = """
import re, torch
{}
torch.ones(1 << 24)
start, end = re.search(r"(\\w+)-(\\w+) .*\\[heap\\]", open("/proc/self/maps").read()).groups()
print(int(end, 16) - int(start, 16))
"""


def heap(code):
    """Bytes of a process's heap after it has made and dropped a tensor of 64 MB."""
    return int(subprocess.check_output([sys.executable, "-c", MEASURE.format(code)]))


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has mallopt")
def test_freed_memory_is_kept():
    plain = heap("import xai_lib")
    assert heap("import xai_lib.run") - plain > 1 << 25
