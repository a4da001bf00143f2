"""What the words of a command line are about."""

# what a training alone reads, so that in an evaluation it would change nothing
OF_TRAINING = (
    *("resume", "logger", "callbacks", "monitor", "mode", "sweep", "model.optimizer", "model.schedule"),
    *(f"trainer.{name}" for name in ("max_epochs", "max_steps", "max_time", "accumulate_grad_batches")),
    *(f"trainer.{name}" for name in ("gradient_clip_val", "limit_train_batches", "limit_val_batches")),
)
OF_A_RUN = ("resume", "runs", "logger", "debug", "callbacks", "monitor", "mode", "sweep", "hydra")  # not of its model
# what the benchmark of a step does not read: its settings say how the step is compiled and in which precision
NOT_OF_A_STEP = (*OF_TRAINING, "compile", "trainer.precision")
NOT_OF_A_STEP = tuple(each for each in NOT_OF_A_STEP if not each.startswith("model."))


def key(override: str) -> str:
    """The key of an override, as in ``model.beam`` of ``++model.beam=3``."""
    return override.lstrip("+~").split("=")[0]


def of(names: tuple[str, ...], override: str) -> bool:
    """Whether an override is of one of these keys, or of what is below it."""
    return any(key(override) == name or key(override).startswith(f"{name}.") for name in names)
