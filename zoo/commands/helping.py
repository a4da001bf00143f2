"""What a command says when it is asked for --help."""

import os
import sys
from importlib.resources import files

from zoo import registry
from zoo.errors import ZooError
from zoo.pipelines import known_options
from zoo.release import read_config

SAID = {
    "train": """\
Trains one row of a paper, tests its best checkpoint and leaves runs/<slug>/<row>/<time>/.

  python scripts/train.py experiment=<slug>/<row> [key=value ...]     (or zoo-train, where the package is installed)

  python scripts/train.py experiment=ram/mnist28_7
  python scripts/train.py experiment=ram/mnist28_7 trainer.max_epochs=20 model.hidden=128 logger=csv
  python scripts/train.py -m experiment=ram/mnist28_6 model.num_glimpses=2,4,6     one run for each
  python scripts/train.py -m 'experiment=glob(draw/mnist_t*)'                    one run for each of these rows

  resume=auto   goes on with the last unfinished run of the same command
  --cfg job     shows all keys, with what they are; every key can be given as key=value
""",
    "evaluate": """\
Recomputes the test metrics of released weights or of a checkpoint.

  python scripts/evaluate.py name=<slug>.<row> | name=<folder> | name=hf-hub:<user>/<name> | ckpt=<path> [key=value ...]

  python scripts/evaluate.py name=ram.mnist28_7
  python scripts/evaluate.py name=bahdanau.debian_de_en model.beam=1
  python scripts/evaluate.py ckpt=runs/ram/mnist28_7/<time>/checkpoints/best.ckpt
""",
    "benchmark": """\
Measures the speed of a row's training step, taken apart, in several settings side by side.

  python scripts/benchmark.py experiment=<slug>/<row> [settings=[fp32,bf16]] [seconds=10] [key=value ...]

  python scripts/benchmark.py experiment=ram/mnist28_7
  python scripts/benchmark.py experiment=ram/mnist28_7 'settings=[fp32,fp32 compiled]'
  python scripts/benchmark.py experiment=bahdanau/debian_de_en data.batch_tokens=4096 seconds=30
""",
    "predict": """\
Answers to raw inputs as one line of JSON, and draws where the model looked.

  python scripts/predict.py name=<slug>.<row> | name=<folder> | name=hf-hub:<user>/<name> input=... [key=value ...]

  python scripts/predict.py name=ram.mnist28_7 input=digit.png output=path.png
  python scripts/predict.py name=bahdanau.debian_de_en input="Dieses Paket enthält ein Spiel." options.beam=3
  cat sentences.txt | python scripts/predict.py name=bahdanau.debian_de_en input=-

  input    a file, a folder, a pattern as in digits/*.png, several as in [one.png,two.png], - for the standard input,
           or, of models that read text, the text itself
  output   a picture of where the model looked: .png, .pdf or .svg, or a page to look at: .html; of several inputs one
           each
  lines    true: lines between words in place of matrices
  top      so many of the most probable classes, in place of all
  options.<name>   of the model's pipeline, below
""",
}
GROUPS = (
    "experiment",
    "model",
    "data",
    "attention",
    "estimator",
    "self_attention",
    "trainer",
    "logger",
    "callbacks",
    "sweep",
    "debug",
)


def say(text: str) -> None:
    """Prints a text, as far as it is read: who reads it through `head` closes the pipe before its end."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end


def usage(command: str, arguments: list[str] = ()) -> str:
    """Usage, examples, and the groups of the config, or of predict the options of pipelines."""
    return SAID[command] + ("\n" + _options(arguments) if command == "predict" else "\n" + _groups())


def _groups() -> str:
    lines = ["groups, as in trainer=cpu:"]
    for group in GROUPS:
        folder = files("conf") / group
        names = sorted(each.name.removesuffix(".yaml") for each in folder.iterdir())
        if group == "experiment":
            names = [f"{name}/..." for name in names] + ["(zoo-list names all)"]
        lines.append(f"  {group:15} {', '.join(names)}")
    return "\n".join(lines)


def _options(arguments: list[str]) -> str:
    """The options of the pipeline of name=, or of those of all released rows, with their defaults."""
    named = [word.removeprefix("name=") for word in arguments if word.startswith("name=")]
    rows: dict[str, list[str]] = {}
    for name in named or registry.list_models(pretrained=True):
        try:
            config = read_config(registry.released(name))
            pipe = registry.room(config["slug"]).PIPELINE.of(config["network"])
        except ZooError as error:
            return str(error)
        known = known_options(pipe) | config.get("options", {})
        shown = ", ".join(f"{option}={value}" for option, value in known.items()) or "none"
        rows.setdefault(shown, []).append(name)
    return "\n".join(
        ["options of pipelines, with their defaults:", *(f"  {', '.join(n)}: {o}" for o, n in rows.items())]
    )
