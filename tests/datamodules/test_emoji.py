"""Scenes of emoji: what the captions say is what is there, and what is held out is never seen in training."""

import pytest
import torch

from datamodules.emoji import SIDE, Emoji, read_sheet
from datamodules.files import DataError
from datamodules.pasting import CANVAS, DARKEST
from datamodules.tokens import EOS, PAD


def lines(data: Emoji, batch: dict) -> list[str]:
    return data.detokenise([[i for i in row if i > EOS] for row in batch["caption"].tolist()])


def whole(data: Emoji, split: str, count: int = 500) -> dict:
    return data.batch(split, torch.arange(count))


@pytest.fixture(scope="module")
def data() -> Emoji:
    return Emoji()


def read(line: str, names: list[str]) -> tuple[list[str], list[str]]:
    """Things and relations of a caption, found by a reader of its own."""
    things, relations = [], []
    for part in line.replace(" which is ", " ").replace(" left of ", "|left|").replace(" above ", "|above|").split("|"):
        (relations if part in ("left", "above") else things).append(part)
    assert all(thing in names for thing in things)
    return things, relations


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_captions_tell_what_is_where(split, data):
    batch = whole(data, split)
    for line, boxes, ids in zip(lines(data, batch), batch["boxes"], batch["names"].tolist(), strict=True):
        things, relations = read(line, data.names)
        there = boxes[boxes.sum(1) > 0]
        assert len(there) == len(things) == len(relations) + 1
        assert [data.detokenise([[i for i in row if i != PAD]])[0] for row in ids[: len(things)]] == things
        centres = (there[:, :2] + there[:, 2:]) / 2
        for k, relation in enumerate(relations):
            x, y = (centres[k + 1] - centres[k]).tolist()
            assert (x if relation == "left" else y) >= 20 and (len(things) == 3 or max(x, y) > abs(min(x, y)))
        assert (there[:, :2] >= 0).all() and (there[:, 2:] <= CANVAS).all()
        for i in range(len(there)):
            for j in range(i):
                low, high = there[[i, j], :2].amax(0), there[[i, j], 2:].amin(0)
                assert (high - low).clamp(min=0).prod() == 0, "two things overlap"


def test_pictures_stand_in_their_boxes(data):
    batch = whole(data, "test", 100)
    for image, boxes in zip(batch["image"], batch["boxes"], strict=True):
        ground = (
            image[:, 0, 0] if not (boxes[:, :2].sum(1) == 0).logical_and(boxes[:, 2] > 0).any() else image[:, -1, 0]
        )
        inked = (image - ground[:, None, None]).abs().amax(0) > 0.02
        for left, top, right, bottom in boxes.int().tolist():
            assert right == 0 or inked[top:bottom, left:right].float().mean() > 0.15
            inked[top:bottom, left:right] = False
        assert not inked.any()
    assert batch["image"].min() >= 0 and batch["image"].max() <= 1 and ground.min() >= DARKEST - 1e-6


def test_what_is_held_out_never_meets_in_training(data):
    pairs = {}
    for split, count in (("train", 1500), ("val", 500), ("test", 1000)):
        batch = whole(data, split, count)
        every = [read(line, data.names)[0] for line in lines(data, batch)]
        pairs[split] = {frozenset((a, b)) for things in every for a in things for b in things if a != b}
        assert {len(things) for things in every} == ({1, 2, 3} if split == "train" else {2, 3})
    assert not pairs["train"] & pairs["test"] and not pairs["train"] & pairs["val"] and not pairs["val"] & pairs["test"]
    assert {thing for pair in pairs["train"] for thing in pair} == set(data.names)
    assert len(pairs["test"]) == SIDE * SIDE * (SIDE - 1) // 2


def test_tones_are_held_out_of_each_person():
    data, seen = Emoji("names"), {}
    for split in ("train", "val", "test"):
        seen[split] = set(lines(data, whole(data, split)))
    assert [len(seen[split]) for split in ("train", "val", "test")] == [72, 24, 24]
    assert not seen["train"] & (seen["val"] | seen["test"]) and not seen["val"] & seen["test"]
    assert "waving hand : light skin tone" in set.union(*seen.values())


def test_a_scene_is_a_function_of_seed_epoch_and_index(data):
    one, other = (made.batch("train", torch.tensor([3, 5]), 2) for made in (data, Emoji(seed=0)))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert not torch.equal(data.batch("train", torch.tensor([3, 5]), 3)["image"], one["image"])
    assert not torch.equal(Emoji(seed=1).batch("train", torch.tensor([3, 5]), 2)["image"], one["image"])
    assert torch.equal(Emoji(seed=1).batch("test", torch.tensor([7]))["image"], whole(data, "test")["image"][7:8])
    alone = data.batch("test", torch.tensor([7]))
    assert torch.equal(alone["image"][0], whole(data, "test")["image"][7])


def test_of_the_control_each_caption_has_the_picture_of_the_next_sample(data):
    control, index = Emoji(pictures="next"), torch.tensor([0, 4, len(data._random("test", 0)[0]) - 1])
    shown, own = control.batch("test", index), data.batch("test", index)
    assert torch.equal(shown["image"], data.batch("test", torch.tensor([1, 5, 0]))["image"])
    assert all(torch.equal(shown[key], own[key]) for key in own if key != "image")


def test_references_are_the_captions(data):
    batch = whole(data, "val", 9)
    assert data.right("val", [8, 2]) == [[lines(data, batch)[8]], [lines(data, batch)[2]]]


def test_altered_sheets_and_another_vocabulary_are_refused(data, tmp_path, monkeypatch):
    Emoji("names").save(tmp_path)
    with pytest.raises(DataError, match="its vocabulary is not that of the emoji"):
        Emoji(tokenizer=str(tmp_path))
    data.save(tmp_path)
    assert Emoji(tokenizer=str(tmp_path)).spec == data.spec
    folder = tmp_path / "emoji"
    folder.mkdir()
    (folder / "objects.txt").write_text("cat\n")
    (folder / "SHA256SUMS").write_text("0" * 64 + "  objects.txt\n")
    monkeypatch.setattr("datamodules.emoji.EMBEDDED", tmp_path)
    read_sheet.cache_clear()
    with pytest.raises(DataError, match=r"objects\.txt: truncated or altered"):
        read_sheet("objects")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "faces"}, "kind is 'faces'"),
        ({"pictures": "all"}, "pictures is 'all'"),
        ({"scenes": 0}, "scenes is 0"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(arguments, message):
    with pytest.raises(DataError, match=message):
        Emoji(**arguments)
