"""Captions in Karpathy's format, from a small folder as it is published."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.captions import Captions
from datamodules.files import DataError
from datamodules.karpathy import pairing, read_captions, write_features
from datamodules.tokens import BOS, EOS, PAD

SPLITS = ("train", "train", "train", "restval", "val", "test", "train", "val", "test", "train")


def words(picture: int, number: int) -> list[str]:
    return ["A", "picture", *["very"] * number, "good", f"no{picture}", ["dog", "cat", "bird"][(picture + number) % 3]]


def write_captions(folder, corpus: str = "flickr8k", pictures: bool = True) -> list[str]:
    """dataset_<corpus>.json of ten pictures with six captions each, and the pictures; returns their names."""
    images, files, sentence = [], [], 0
    for i, split in enumerate(SPLITS):
        place = {"filepath": f"{split}2014", "cocoid": i} if corpus == "coco" else {}
        files.append("/".join((*[each for each in [place.get("filepath")] if each], f"{i}.jpg")))
        captions = []
        for number in range(6):
            captions.append({"tokens": words(i, number), "raw": "x", "imgid": i, "sentid": sentence})
            sentence += 1
        ids = [each["sentid"] for each in captions]
        images.append(
            {"sentids": ids, "imgid": i, "sentences": captions, "split": split, "filename": f"{i}.jpg", **place}
        )
        if pictures:
            path = folder / "images" / files[-1]
            path.parent.mkdir(parents=True, exist_ok=True)
            array = np.full((40, 60, 3), 10 * i, np.uint8)
            array[:, 30:] = 200
            Image.fromarray(array).save(path)
    (folder / f"dataset_{corpus}.json").write_text(json.dumps({"images": images, "dataset": corpus}))
    return files


def write_maps(path, files: list[str], features: int = 10) -> None:
    maps = np.random.default_rng(0).normal(size=(len(files), features, 3, 3)).astype(np.float16)
    write_features(path, maps, files)


@pytest.fixture
def folder(tmp_path):
    write_captions(tmp_path)
    write_captions(tmp_path, "coco")
    return tmp_path


def make(folder, **arguments) -> Captions:
    return Captions(root=str(folder), **({"size": 24, "shorter": 30, "workers": 0, "batch_size": 4} | arguments))


def test_the_published_file_is_read(folder):
    found = read_captions(folder / "dataset_coco.json")
    assert [each.split for each in found] == list(SPLITS) and found[4].file == "val2014/4.jpg"
    assert found[2].captions[1] == ("A", "picture", "very", "good", "no2", "dog")


def test_restval_trains_only_where_it_is_asked_for(folder):
    assert [len(make(folder).pictures[s]) for s in ("train", "val", "test")] == [5, 2, 2]
    assert len(make(folder, corpus="coco", restval=True).pictures["train"]) == 6


def test_captions_beyond_the_fifth_and_long_ones_are_left_out(folder):
    assert make(folder).size("train") == 25 and make(folder, each=6).size("train") == 30
    assert make(folder, max_length=6).size("train") == 10
    with pytest.raises(DataError, match="no training caption has at most 3 words"):
        make(folder, max_length=3)


def test_a_training_batch_has_captions_of_one_length(folder):
    data, seen = make(folder, batch_size=5), []
    for batch in data.train_dataloader():
        caption = batch["caption"]
        assert (caption != PAD).all() and (caption[:, 0] == BOS).all() and (caption[:, -1] == EOS).all()
        assert batch["image"].shape == (5, 3, 24, 24) and batch["captions"] == 5
        seen += batch["index"].tolist()
    assert sorted(seen) == list(range(25))


def test_samples_are_what_the_file_says(folder):
    data = make(folder, vocabulary=8)
    batch = next(iter(data.val_dataloader()))
    lines = data.detokenise([[i for i in row if i > EOS] for row in batch["caption"].tolist()])
    assert lines[0] in ("a picture good <unk> cat", "a picture good <unk> <unk>", "a picture good no4 cat")
    assert data.right("val", [1])[0][1] == "a picture very good no7 bird" and len(data.right("val", [0])[0]) == 6
    # of a picture of 40 x 60 scaled to 30 x 45 the middle 24 columns: half of them dark
    row = batch["image"][0, 0, 12]
    assert (row > 0.5).sum().item() == pytest.approx(12, abs=1) and row[0].item() == pytest.approx(40 / 255, abs=0.03)


def test_features_are_those_of_the_pictures(folder):
    files = write_captions(folder, pictures=False)
    write_maps(folder / "maps.npy", files)
    data = make(folder, features=str(folder / "maps.npy"))
    batch = data.batch("test", torch.tensor([1]))
    assert np.allclose(batch["image"][0], np.load(folder / "maps.npy")[8].astype(np.float32))
    (folder / "images" / "0.jpg").unlink()  # pictures are not needed then
    assert make(folder, features=str(folder / "maps.npy")).size("train") == 25


def test_features_of_other_pictures_and_altered_ones_are_refused(folder):
    files = write_captions(folder, pictures=False)
    path = folder / "maps.npy"
    for wrong in (files[::-1], files[:-1]):
        write_maps(path, wrong)
        with pytest.raises(DataError, match=r"maps\.npy: its features are not of these 10 pictures"):
            make(folder, features=str(path))
    write_maps(path, files)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"maps\.npy: truncated or altered"):
        make(folder, features=str(path))
    path.write_bytes(data[:300])
    with pytest.raises(DataError, match=r"maps\.npy: cannot be read as features"):
        make(folder, features=str(path))
    path.with_suffix(".json").unlink()
    with pytest.raises(DataError, match=r"maps\.json: cannot be read"):
        make(folder, features=str(path))
    assert pairing(["a", "b"]) != pairing(["ab"])


def test_missing_and_broken_pictures_are_named(folder):
    (folder / "images" / "3.jpg").unlink()
    assert make(folder).size("train") == 25, "a restval picture is not needed"
    (folder / "images" / "8.jpg").unlink()
    with pytest.raises(DataError, match=r"dataset_flickr8k\.json: names 1 pictures that are not in .*, such as 8\.jpg"):
        make(folder)
    (folder / "images" / "8.jpg").write_bytes(b"\xff\xd8nonsense")
    with pytest.raises(DataError, match=r"8\.jpg: cannot be read as a picture"):
        make(folder).batch("test", torch.tensor([1]))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "I;16"])
def test_pictures_of_any_mode_and_size_are_read(mode, folder):
    image = Image.new("L", (3, 500), 90)
    image = Image.fromarray(np.full((500, 3), 20000, np.uint16)) if mode == "I;16" else image.convert(mode)
    image.save(folder / "images" / "8.jpg", format="JPEG" if mode == "CMYK" else "PNG")
    assert make(folder).batch("test", torch.tensor([1]))["image"].shape == (1, 3, 24, 24)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "truncated, or not captions"),
        ('{"images": [{"filename": "a.jpg", "split": "train"}]}', "lacks 'sentences'"),
        (
            '{"images": [{"filename": "a.jpg", "split": "dev", "sentences": [{"tokens": ["a"]}]}]}',
            "a.jpg has the split 'dev'",
        ),
        ('{"images": [{"filename": "a.jpg", "split": "val", "sentences": []}]}', "a.jpg has no caption"),
        ('{"images": []}', "has no picture of the split train"),
    ],
)
def test_a_file_of_another_form_is_refused(text, message, folder):
    (folder / "dataset_flickr8k.json").write_text(text)
    with pytest.raises(DataError, match=message):
        make(folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"corpus": "flickr"}, "corpus is 'flickr'"),
        ({"shorter": 20}, "shorter is 20"),
        ({"each": 0}, "each is 0"),
        ({"restval": 1}, "restval is 1"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(arguments, message, folder):
    with pytest.raises(DataError, match=message):
        make(folder, **arguments)


def test_without_a_folder_it_says_what_it_needs():
    with pytest.raises(DataError, match=r"say where coco is: data\.root="):
        Captions("coco")
