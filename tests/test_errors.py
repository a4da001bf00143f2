"""What a user gets wrong is answered in a sentence that names what is right."""

import pytest

from tests.conftest import called


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["experiment=ram/mnist28_66"], "ram/mnist28_6"),
        (["experiment=ram/mnist28_6", "model.num_glimpse=4"], "model.num_glimpses"),
        (["experiment=ram/mnist28_6", "data=mnits"], "mnist"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest(arguments, expected, tmp_path):
    failed = called("train", *arguments, "debug=fast", f"runs={tmp_path}", check=False)
    assert failed.returncode == 1
    assert "did you mean" in failed.stderr.splitlines()[-1] and expected in failed.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("*")), "nothing was left behind"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["data.root=/nowhere"], "/nowhere/train-images-idx3-ubyte"),
        (["model.core=grru"], "core is 'grru', not one of"),
    ],
)
def test_what_the_user_can_put_right_ends_in_one_sentence(arguments, sentence, tmp_path):
    failed = called("train", "debug=fast", *arguments, "logger=none", f"runs={tmp_path}", check=False)
    assert failed.returncode == 1 and sentence in failed.stderr.splitlines()[-1]
    assert "Traceback" not in failed.stderr and not failed.stdout
