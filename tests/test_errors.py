"""What a user gets wrong is answered in a sentence that names what is right."""

import pytest

from tests.conftest import command


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["experiment=ram/mnist28_66"], "ram/mnist28_6"),
        (["experiment=ram/mnist28_6", "model.num_glimpse=4"], "model.num_glimpses"),
        (["experiment=ram/mnist28_6", "data=mnits"], "mnist"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest(arguments, expected, tmp_path):
    failed = command("train", *arguments, "debug=fast", f"runs={tmp_path}", check=False)
    assert failed.returncode == 1
    assert "did you mean" in failed.stderr.splitlines()[-1] and expected in failed.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("*")), "nothing was left behind"


def test_a_missing_data_folder_is_named(tmp_path):
    failed = command("train", "debug=fast", "data.root=/nowhere", "logger=none", f"runs={tmp_path}", check=False)
    assert failed.returncode == 1 and "/nowhere/train-images-idx3-ubyte" in failed.stderr
