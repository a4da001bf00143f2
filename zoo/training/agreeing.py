"""What each process would decide by the clock or by listing a folder is decided by the first of them and told to all.

Where torchrun, Slurm or the user starts the processes, each composes the config before there is a process group.
"""

import os
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch.distributed import Store

PATIENCE = timedelta(minutes=10)  # with processes that start late


class Place(NamedTuple):
    """A process among those that were started together."""

    rank: int
    address: str  # of the first of them
    port: int
    served: bool  # whether there is a store at that port already


def place() -> Place | None:
    """Where this process stands; None where it is alone, or started by another that has decided for it."""
    environment = os.environ
    if "TORCHELASTIC_RUN_ID" in environment:
        served = environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        address, port = environment["MASTER_ADDR"], int(environment["MASTER_PORT"])
        return Place(int(environment["RANK"]), address, port + (not served), served)
    if "SLURM_PROCID" in environment and int(environment.get("SLURM_NTASKS", 1)) > 1:
        from lightning_fabric.plugins.environments import SLURMEnvironment

        if SLURMEnvironment.detect():
            slurm = SLURMEnvironment()
            return Place(int(environment["SLURM_PROCID"]), slurm.main_address, slurm.main_port + 1, False)
    elif "NODE_RANK" in environment and "MASTER_ADDR" in environment and "LOCAL_RANK" not in environment:
        port = int(environment.get("MASTER_PORT", 29500))
        return Place(int(environment["NODE_RANK"]), environment["MASTER_ADDR"], port + 1, False)
    return None


@cache
def store(where: Place) -> "Store":
    """What the processes write into and read from; it lasts as long as they do."""
    from torch.distributed import PrefixStore, TCPStore

    serves = where.rank == 0 and not where.served
    found = TCPStore(where.address, where.port, is_master=serves, timeout=PATIENCE, wait_for_workers=False)
    return PrefixStore(f"zoo/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", found)


asked: dict[str, int] = {}


def agreed(question: str, decide: Callable[[], str]) -> str:
    """What the first process decides.

    Args:
        question: a name; all processes ask the same questions, each as often as the others.
        decide: called in the first process alone.
    """
    where = place()
    if where is None:
        return decide()
    asked[question] = asked.get(question, 0) + 1
    key = f"{question} {asked[question]}"
    if where.rank == 0:
        store(where).set(key, decide())
    return store(where).get(key).decode()
