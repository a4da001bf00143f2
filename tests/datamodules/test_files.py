"""What every data module refuses."""

import pytest

from datamodules.catch import Catch
from datamodules.characters import Characters
from datamodules.files import DataError
from datamodules.mnist import MNIST
from datamodules.text import TextClasses
from datamodules.translation import Translation


@pytest.mark.parametrize(
    ("module", "wrong"),
    [
        (Catch, {"val_episodes": 0}),
        (Characters, {"windows": -1}),
        (Characters, {"val_bytes": 0}),
        (MNIST, {"eval_batch_size": 0}),
        (TextClasses, {"max_length": 0}),
        (Translation, {"batch_tokens": 0}),
        *((module, {"batch_size": 0}) for module in (Catch, Characters, MNIST, TextClasses, Translation)),
        *((module, {"limit": -3}) for module in (Characters, MNIST, TextClasses, Translation)),
    ],
)
def test_a_count_below_one_is_named(module, wrong):
    ((name, count),) = wrong.items()
    with pytest.raises(DataError, match=f"^{name} is {count}; expected a whole number, at least 1$"):
        module(**wrong)
