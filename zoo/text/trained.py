"""Weights that another training begins with or is held against."""

from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.registry import create_model
from zoo.training.reading import read_checkpoint


def weights_of(source: str, network: nn.Module) -> dict[str, Tensor]:
    """The weights of a released row, of a folder or of a checkpoint of a run, if they are of such a network.

    Raises:
        ZooError: they are of another kind or of other sizes.
    """
    if source.endswith(".ckpt"):
        stored = read_checkpoint(source)["state_dict"]
        state = {key.removeprefix("network."): value for key, value in stored.items() if key.startswith("network.")}
    else:
        state = create_model(source, pretrained=True).state_dict()
    expected = network.state_dict()
    if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in expected.items()}:
        raise ZooError(f"the network of {source} is not of the kind and sizes that the model and the data say")
    return state
