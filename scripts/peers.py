"""CPU seconds of a training step and of beam search beside Joey NMT 2.3, torch.nn.Transformer, or plain networks.

Every contender has the same shape and the same batch of random sentences, and runs in a process of its own, in turns;
the best of all rounds counts. Joey NMT lives in an environment of its own (`pip install joeynmt==2.3.0
importlib_metadata` and the zoo's version of torch); without it the others are measured. The encoder of Joey NMT's model
after Luong must be bidirectional, so it is 128 wide each way; the zoo's, as the paper's, reads in one direction.

DRAW's steps are of 100 digits and T = 64, with attention; the plain one is that of scripts/plain_draw.py.

A spatial transformer's warp is of 64 digits by 16 control points, beside kornia 0.9 where it is installed (its path may
stand in PYTHONPATH), which is first shown to give the same; a step is of WarBean's network with 4 x 4 points and 64
digits, its data included, beside that of scripts/plain_tps.py.

A step of Show, Attend and Tell's decoder is of 8 captions of 20 words on 196 annotations of 2048 numbers, beside that
of scripts/plain_captions.py, which projects the annotations at every word.

A step of ST-RNN learns from 100 visits of each of four users with all 100 places as candidates; the plain one, of
scripts/plain_st_rnn.py, keeps a matrix for each candidate and visit: 0.6 GB for each user.

python scripts/peers.py transformer --joey <environment>/bin/python
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import torch

WORDS, BATCH, BEAM = 8000, 64, 5
LENGTH = {"transformer": 32, "bahdanau": 25, "luong": 25}  # symbols of source and target
DIGITS = 100  # of a step of DRAW
USERS, VISITS, PLACES = 4, 100, 100  # of a step of ST-RNN
ROUNDS, STEPS = 3, {"train": 3, "decode": 1, "warp": 30, "step": 30, "rank": 2}
CONTENDERS = {
    "train": ["zoo bf16", "joey fp32", "joey bf16", "torch bf16"],
    "decode": ["zoo bf16", "zoo fp32", "joey fp32", "joey bf16"],
}
WARPS = {"warp": ["zoo fp32", "kornia fp32"], "step": ["zoo fp32", "zoo bf16", "plain fp32"]}
RANKS = {"rank": ["zoo fp32", "plain fp32"]}
PAINTERS = ["plain fp32", "plain bf16", "zoo fp32", "zoo bf16", "zoo fp32 compiled", "zoo bf16 compiled"]
CAPTIONERS = ["plain fp32", "plain bf16", "zoo fp32", "zoo bf16"]
CAPTIONS = (8, 20)  # of a step, and words of each
RECURRENT = {"embedding": 256, "hidden": 256, "dropout": 0.3, "label_smoothing": 0.1}


def sentences(length: int, bos: int, eos: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Source (batch, length) and target (batch, length + 1), the same words for all contenders."""
    torch.manual_seed(0)
    source, target = (torch.randint(4, WORDS, (BATCH, length)) for _ in range(2))
    source[:, -1] = target[:, -1] = eos
    return source, torch.cat([torch.full((BATCH, 1), bos), target], 1)


def training(model: torch.nn.Module, loss: Callable[[], torch.Tensor], half: bool) -> Callable[[], None]:
    """A function that takes one step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            found = loss()
        found.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(), optimizer.zero_grad()

    return step


def of_zoo(room: str, task: str, half: bool) -> Callable[[], None]:
    """A step, or a beam search, of a room; half: in bfloat16."""
    from zoo.models.bahdanau import LitRNNsearch
    from zoo.models.luong import LitStackedLSTM
    from zoo.models.transformer import LitTransformer
    from zoo.training.memory import keep_freed_memory

    keep_freed_memory()  # as the zoo's commands do
    make, how = {
        "transformer": (LitTransformer, {"layers": 3, "d_model": 256, "d_ff": 1024, "heads": 4}),
        "bahdanau": (LitRNNsearch, {**RECURRENT, "maxout": 256, "attention": {"score": "additive"}, "init": "torch"}),
        "luong": (LitStackedLSTM, {**RECURRENT, "layers": 1, "attention": {"score": "general"}, "reverse": False}),
    }[room]
    model = make(source_vocabulary=WORDS, target_vocabulary=WORDS, normalise="gnmt", alpha=1.0, **how)
    source, target = sentences(LENGTH[room], bos=1, eos=2)
    if task == "train":
        batch = {"source": source, "target": target, "tokens": float(source.numel()), "sentences": float(BATCH)}
        return training(model.train(), lambda: model.loss(batch)["loss"], half)
    model.eval().longest = lambda lengths: torch.full_like(lengths, LENGTH[room])

    def decode() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            model.translate(source, BEAM)

    return decode


def of_joey(room: str, task: str, half: bool) -> Callable[[], None]:
    """The same of Joey NMT's model of that kind."""
    from joeynmt.batch import Batch
    from joeynmt.model import build_model
    from joeynmt.search import search
    from joeynmt.vocabulary import Vocabulary

    names = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "sep_token": None}
    numbers = {"unk_id": 0, "pad_id": 1, "bos_id": 2, "eos_id": 3, "sep_id": None, "lang_tags": []}
    words = Vocabulary([f"word{i}" for i in range(WORDS - 4)], SimpleNamespace(**names, **numbers))
    attends = room == "transformer"
    embeddings = {"embedding_dim": 256, "scale": attends, "dropout": 0.1 if attends else 0.3, "freeze": False}
    common = {"embeddings": embeddings, "hidden_size": 256, "dropout": embeddings["dropout"], "freeze": False}
    if attends:
        both = {"type": "transformer", "num_layers": 3, "num_heads": 4, "ff_size": 1024, "layer_norm": "post"}
        encoder = decoder = {**common, **both, "activation": "relu"}
    else:
        both = {**common, "type": "recurrent", "num_layers": 1, "rnn_type": "gru" if room == "bahdanau" else "lstm"}
        size = 256 if room == "bahdanau" else 128
        encoder = {**both, "bidirectional": True, "hidden_size": size}
        decoder = {**both, "hidden_dropout": 0.3, "attention": room, "init_hidden": "bridge", "input_feeding": True}
    start = {"initializer": "xavier_uniform", "embed_initializer": "xavier_uniform", "bias_initializer": "zeros"}
    gains, tied = {"init_gain": 1.0, "embed_init_gain": 1.0}, {"tied_embeddings": attends, "tied_softmax": attends}
    model = build_model({**start, **gains, **tied, "encoder": encoder, "decoder": decoder}, words, words)
    model.loss_function = ("crossentropy", 0.1)
    source, target = sentences(LENGTH[room], bos=2, eos=3)
    lengths = {"src_length": torch.full((BATCH,), LENGTH[room]), "indices": torch.arange(BATCH)}
    places = {"src_prompt_mask": None, "trg_prompt_mask": None, "device": torch.device("cpu")}
    numbers = {"pad_index": 1, "eos_index": 3, "is_train": task == "train"}
    batch = Batch(src=source, trg=target, **lengths, **places, **numbers)
    if task == "train":
        return training(model.train(), lambda: model(return_type="loss", **vars(batch))[0] / batch.ntokens, half)
    autocast = {"device_type": "cpu", "dtype": torch.bfloat16, "enabled": half}
    how = {"max_output_length": LENGTH[room], "beam_size": BEAM, "beam_alpha": 1.0, "autocast": autocast}
    model.eval()
    return lambda: search(model=model, batch=batch, **how)


def of_torch(room: str, task: str, half: bool) -> Callable[[], None]:
    """A step of torch.nn.Transformer; it cannot decode with a cache."""
    embed = torch.nn.Embedding(WORDS, 256, padding_idx=0)
    stacks = torch.nn.Transformer(256, 4, 3, 3, 1024, 0.1, batch_first=True)
    places = torch.randn(LENGTH[room], 256)
    source, target = sentences(LENGTH[room], bos=1, eos=2)
    causal = torch.nn.Transformer.generate_square_subsequent_mask(LENGTH[room])
    padding = {"src_key_padding_mask": source == 0, "memory_key_padding_mask": source == 0}

    def loss() -> torch.Tensor:
        read, fed = (embed(ids) * 16 + places for ids in (source, target[:, :-1]))
        logits = stacks(read, fed, tgt_mask=causal, tgt_is_causal=True, **padding) @ embed.weight.T
        labels = target[:, 1:].flatten()
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels, label_smoothing=0.1)

    return training(torch.nn.ModuleList([embed, stacks]).train(), loss, half)


def of_draw(made: str, half: bool, compiled: bool) -> Callable[[], None]:
    """A step of DRAW: the zoo's, maybe with compile=true, or a plain one."""
    from plain_draw import STEPS as T
    from plain_draw import PlainDRAW

    from zoo.models.draw import LitDRAW
    from zoo.training.memory import keep_freed_memory

    keep_freed_memory()
    torch.manual_seed(0)
    image, key = torch.rand(DIGITS, 1, 28, 28).round(), torch.arange(DIGITS)
    if made == "plain":
        model = PlainDRAW()
        return training(model, lambda: model(image[:, 0]), half)
    model = LitDRAW(num_steps=T)
    if compiled:
        model.network.compile()
    return training(model, lambda: model.loss({"image": image, "key": key})["loss"], half)


def of_warp(made: str) -> Callable[[], torch.Tensor]:
    """Grids and samples of a thin plate spline of 4 x 4 control points, forward, for a batch of digits.

    Both give the same pictures where the control points are moved by an affine map, which is looked at first. Where
    they bend, kornia's spline is another one: its kernels stand at the moved points.
    """
    from zoo.nn.grid import TPS, sample

    torch.manual_seed(0)
    image, tps = torch.rand(BATCH, 1, 28, 28), TPS(28, 28)
    control = tps.identity.view(1, -1, 2).expand(BATCH, -1, -1).contiguous()
    bent = control + 0.1 * torch.randn(BATCH, 16, 2)

    def ours(places: torch.Tensor) -> torch.Tensor:
        return sample(image, tps(places.flatten(1)))

    if made == "zoo":
        return lambda: ours(bent)
    from kornia.geometry.transform import get_tps_transform, warp_image_tps

    def theirs(places: torch.Tensor) -> torch.Tensor:
        kernels, affine = get_tps_transform(control, places)
        return warp_image_tps(image, places, kernels, affine, align_corners=True)

    straight = control @ torch.tensor([[0.8, -0.2], [0.3, 0.9]]) + 0.1
    gap = (theirs(straight) - ours(straight)).abs().max()
    if gap > 1e-3:
        sys.exit(f"kornia's pictures differ by {gap:.3g}; the times would be of different things")
    return lambda: theirs(bent)


def of_warbean(made: str, half: bool) -> Callable[[], None]:
    """A step of WarBean's network with its data: digits turned anew."""
    if made == "plain":
        from plain_tps import PlainTPS, turned

        digits, labels = torch.randint(256, (BATCH, 28, 28), dtype=torch.uint8), torch.randint(10, (BATCH,))
        model = PlainTPS()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.5)

        def loss() -> torch.Tensor:
            return model(turned(digits), labels)
    else:
        from datamodules.distorted import Distorted
        from zoo.models.spatial_transformer.warbean import WarBean
        from zoo.training.memory import keep_freed_memory

        keep_freed_memory()
        data, index, model = Distorted(batch_size=BATCH), torch.arange(BATCH), WarBean(control=4)
        data.setup()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.5, fused=True)

        def loss() -> torch.Tensor:
            batch = data.batch("train", index, 0)
            return torch.nn.functional.cross_entropy(model(batch["image"]).logits, batch["label"])

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            found = loss()
        found.backward()
        optimizer.step(), optimizer.zero_grad()

    return step


def of_captions(made: str, half: bool) -> Callable[[], None]:
    """A step of a captioning decoder: the zoo's, or a plain one."""
    from plain_captions import FEATURES, PLACES, SIZE, PlainCaptions
    from plain_captions import WORDS as KNOWN

    from zoo.models.show_attend_tell import LitShowAttendTell
    from zoo.training.memory import keep_freed_memory

    torch.manual_seed(0)
    batch, words = CAPTIONS
    maps = torch.rand(batch, FEATURES, 14, PLACES // 14)
    caption = torch.randint(4, KNOWN, (batch, words + 1))
    if made == "plain":
        model = PlainCaptions(KNOWN, FEATURES, SIZE)
        annotations = maps.flatten(2).mT.contiguous()
        return training(model, lambda: model(annotations, caption), half)
    keep_freed_memory()
    sizes = {"embedding": SIZE, "hidden": SIZE, "attention_hidden": SIZE}
    model = LitShowAttendTell(vocabulary=KNOWN, encoder=None, features=FEATURES, **sizes)
    return training(model, lambda: model.loss({"image": maps, "caption": caption})["loss"], half)


def of_visits(made: str) -> Callable[[], None]:
    """The loss and the gradients of a batch of visits."""
    from plain_st_rnn import PlainSTRNN, trails

    from zoo.models.st_rnn import LitNext
    from zoo.training.memory import keep_freed_memory

    keep_freed_memory()
    batch = trails(USERS, VISITS, PLACES)
    how = {
        "users": USERS,
        "places": PLACES,
        "dim": 32,
        "time_bounds": [0, 3, 6, 9, 12, 18, 24, 36, 48, 72, 96, 168],
        "distance_bounds": [0, 200, 400, 700, 1000, 1500, 2000, 3000, 4000, 8000],
    }
    if made == "plain":
        plain = PlainSTRNN(**how)
        return lambda: plain.loss(batch).backward()
    model = LitNext(**how, negatives="all", decay=0)
    return lambda: model.loss(batch)["loss"].backward()


def child(room: str, task: str, name: str) -> None:
    """Prints the CPU seconds of one step, the mean of a few after two to warm up."""
    torch.set_num_threads(1)
    made, precision, *compiled = name.split()
    half = precision == "bf16"
    of = {"zoo": of_zoo, "joey": of_joey, "torch": of_torch}
    if task in WARPS:
        step = of_warp(made) if task == "warp" else of_warbean(made, half)
    elif room == "show_attend_tell":
        step = of_captions(made, half)
    elif task in RANKS:
        step = of_visits(made)
    else:
        step = of_draw(made, half, bool(compiled)) if room == "draw" else of[made](room, task, half)
    step(), step()
    began = time.process_time()
    for _ in range(STEPS[task]):
        step()
    print((time.process_time() - began) / STEPS[task])


def compare(room: str, task: str, joey: str | None) -> dict[str, float]:
    """The best CPU seconds of each contender that runs."""
    known = {"draw": PAINTERS, "show_attend_tell": CAPTIONERS}
    best = {
        name: float("inf")
        for name in known.get(room, (WARPS | RANKS | CONTENDERS)[task])
        if (joey or not name.startswith("joey")) and (room == "transformer" or not name.startswith("torch"))
    }
    for _ in range(ROUNDS):
        for name in list(best):
            python = joey if name.startswith("joey") else sys.executable
            command = [python, __file__, room, "--task", task, "--contender", name]
            env = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, capture_output=True, text=True, env=env)
            if done.returncode:
                del best[name]
                said = done.stderr.strip() or f"ended with exit code {done.returncode}"
                print(f"{task}, {name}: {said.splitlines()[-1]}", file=sys.stderr)
            else:
                best[name] = min(best[name], float(done.stdout.splitlines()[-1]))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("room", choices=[*LENGTH, "draw", "show_attend_tell", "spatial_transformer", "st_rnn"])
    parser.add_argument("--task", choices=STEPS, help="default: both")
    parser.add_argument("--joey", help="the Python of an environment with Joey NMT")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.joey and not os.access(given.joey, os.X_OK):
        sys.exit(f"{given.joey}: there is no such Python")
    if given.contender:
        child(given.room, given.task, given.contender)
        return
    several = {"spatial_transformer": [*WARPS], "st_rnn": [*RANKS]}
    tasks = {"draw": ["train"], "show_attend_tell": ["train"], **several}.get(given.room, [*CONTENDERS])
    if given.task and given.task not in tasks:
        parser.error(f"{given.room} does not {given.task}")
    for task in [given.task] if given.task else tasks:
        best = compare(given.room, task, given.joey)
        first = next(iter(best), None)
        for name, seconds in best.items():
            speed = f"  {DIGITS / seconds:6.0f} images/s" if given.room == "draw" else ""
            print(f"{task:<8}{name:<18}{seconds:10.4f} s  {seconds / best[first]:6.2f} x {first}{speed}", flush=True)


if __name__ == "__main__":
    main()
