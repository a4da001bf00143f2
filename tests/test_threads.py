"""Threads that wait do not spin, unless the user has chosen so."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("chosen", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_wait_passively_unless_the_user_has_chosen(chosen, expected):
    env = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    env |= {"OMP_DISPLAY_ENV": "true"} | ({"OMP_WAIT_POLICY": chosen} if chosen else {})
    done = subprocess.run(
        [sys.executable, "-c", "import zoo.commands.cli"], env=env, capture_output=True, text=True, check=True
    )
    if "OMP_WAIT_POLICY" not in done.stderr:
        pytest.skip("this torch has no OpenMP of GCC")
    assert f"OMP_WAIT_POLICY = '{expected}'" in done.stderr
