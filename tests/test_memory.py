"""Freed memory stays with the process."""

import subprocess
import sys

import pytest

# page faults of 20 blocks of 64 MB, each freed before the next, after as many: none, or all pages every time
COUNT = """
import resource, sys, torch
from zoo.training.memory import keep_freed_memory
if sys.argv[1] == "keep": assert keep_freed_memory()
for _ in range(20): torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20): torch.ones(2**24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_blocks_are_used_again():
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", COUNT, how], capture_output=True, text=True, check=True).stdout)
        for how in ("keep", "default")
    )
    assert kept < given_back / 5
