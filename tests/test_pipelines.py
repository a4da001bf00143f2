"""Raw pictures of any kind lead to an answer that says what was done to them, or to one sentence."""

import json
import re
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import zoo
from tests.conftest import called, last_json
from zoo import release
from zoo.looking.attention import Attention
from zoo.looking.pictures import Picture, PictureError, fit, read_picture
from zoo.models.ram import RAM, Glimpses
from zoo.pipelines import InputError, Pipeline, Result

CONFIG = {"num_glimpses": 3, "hidden": 8}

SENTENCES = ('"Debian" ist frei', "[Debian] ist frei", "'Zitat' am Anfang", "Pfad C:\\", "a\\'b", "[x", "'")


def digit(height=28, width=28) -> np.ndarray:
    """A bright bar on black where MNIST has it, (height, width) uint8."""
    picture = np.zeros((height, width), np.uint8)
    picture[height // 7 : height - height // 7, 3 * width // 7 : max(4 * width // 7, 1)] = 255
    return picture


def saved(tmp_path, size: int) -> str:
    torch.manual_seed(0)
    return str(
        release.save(
            RAM(**CONFIG),
            tmp_path / f"weights{size}",
            name="ram.mnist28_3",
            config=CONFIG,
            preprocess={"size": size, "digit": 28},
        )
    )


@pytest.fixture
def pipe(tmp_path) -> Glimpses:
    return zoo.pipeline(saved(tmp_path, 28))


def quiet(pipe, raw, **options):
    """The result, with warnings as errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return pipe(raw, **options)


def told(pipe, raw, **options):
    """The result and what the one warning said."""
    with pytest.warns(UserWarning) as caught:
        result = pipe(raw, **options)
    assert len(caught) == 1 and str(caught[0].message).endswith(", ".join(result.told))
    return result, str(caught[0].message)


def seen(result) -> torch.Tensor:
    return result.attention.images[0, 0]


def test_an_answer(pipe):
    result = quiet(pipe, digit())
    assert isinstance(pipe, Glimpses) and type(result.label) is int
    assert len(result.probabilities) == 10 and sum(result.probabilities) == pytest.approx(1, abs=1e-5)
    assert result.label == int(np.argmax(result.probabilities))
    assert isinstance(result.attention, Attention) and result.attention.boxes.shape == (1, 3, 1, 4)
    assert torch.allclose(seen(result), torch.from_numpy(digit()) / 255)
    assert json.loads(json.dumps(result.plain())) == {
        "label": result.label,
        "probabilities": result.probabilities,
        "told": [],
    }


def test_the_same_picture_in_other_forms_gives_the_same_answer_untold(pipe, tmp_path):
    picture = digit()
    Image.fromarray(picture).save(tmp_path / "digit.png")
    unit = torch.from_numpy(picture).float() / 255
    forms = [
        picture,
        Image.fromarray(picture),
        str(tmp_path / "digit.png"),
        tmp_path / "digit.png",
        unit,
        unit[None],
        unit[..., None].numpy(),
        unit.double(),
        unit.clone().requires_grad_(),
        torch.from_numpy(picture),
        picture.astype(np.int64),
        (picture.astype(np.uint16) * 257),
        picture[:, ::-1][:, ::-1],
    ]
    expected = quiet(pipe, forms[0]).probabilities
    for form in forms:
        assert quiet(pipe, form).probabilities == pytest.approx(expected, abs=1e-5)


def with_alpha(ink: int, ground: int) -> Image.Image:
    alpha = np.where(digit() > 0, 255, 0).astype(np.uint8)
    grey = np.where(digit() > 0, ink, ground).astype(np.uint8)
    return Image.fromarray(np.dstack([grey, grey, grey, alpha]))


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (Image.fromarray(digit()).convert("RGB"), ["colours turned to grey"]),
        (np.repeat(digit()[..., None], 3, 2), ["colours turned to grey"]),
        (torch.from_numpy(np.repeat(digit()[None], 3, 0)), ["colours turned to grey"]),
        (Image.fromarray(digit()).convert("P"), ["colours turned to grey"]),
        (Image.fromarray(digit()).convert("CMYK"), ["colours turned to grey"]),
        (digit().astype(np.float32), ["values of 0 to 255 scaled to 0 to 1"]),
        (255 - digit(), ["bright ground inverted"]),
        (with_alpha(ink=200, ground=90), ["colours turned to grey", "transparent parts made black"]),
        (with_alpha(ink=55, ground=90), ["transparent parts made white", "bright ground inverted"]),
    ],
)
def test_what_was_converted_is_told_and_looks_the_same(pipe, raw, says):
    result, message = told(pipe, raw)
    assert message.startswith("the picture: ") and all(each in message for each in says)
    assert torch.allclose(seen(result), torch.from_numpy(digit()) / 255, atol=0.01)


def test_modes_of_two_colours_and_of_sixteen_bits(pipe, tmp_path):
    binary = Image.fromarray(digit()).point(lambda value: 255 * (value > 0)).convert("1")
    assert torch.equal(seen(quiet(pipe, binary)), torch.from_numpy(digit() > 0).float())
    assert torch.equal(seen(quiet(pipe, digit() > 0)), torch.from_numpy(digit() > 0).float())
    result, message = told(pipe, (digit() > 0).astype(np.int64))
    assert "values of 0 and 1" in message and torch.equal(seen(result), torch.from_numpy(digit() > 0).float())
    deep = Image.fromarray(digit().astype(np.uint16) * 257)
    deep.save(tmp_path / "deep.png")
    for raw in (deep, tmp_path / "deep.png"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert torch.allclose(seen(pipe(raw)), torch.from_numpy(digit()) / 255, atol=1e-4)
    floats = Image.fromarray(digit().astype(np.float32) / 255)
    assert floats.mode == "F" and torch.allclose(seen(quiet(pipe, floats)), torch.from_numpy(digit()) / 255)


@pytest.mark.parametrize(
    ("height", "width", "new"), [(56, 56, (28, 28)), (100, 50, (14, 28)), (14, 28, None), (3, 500, None)]
)
def test_other_sizes_keep_their_aspect(pipe, height, width, new):
    result, message = told(pipe, np.full((height, width), 255, np.uint8) * (digit(height, width) > 0), tidy=False)
    assert seen(result).shape == (28, 28) and ("resized" in message or "padded to 28 x 28" in message)
    if new:
        assert f"resized from {width} x {height} to {new[0]} x {new[1]}" in message


def test_fit_scales_and_centres():
    picture, message = fit(Picture(torch.ones(40, 20), []), 28)
    assert torch.allclose(picture, F.pad(torch.ones(28, 14), (7, 7)))
    assert message == ["resized from 20 x 40 to 14 x 28 and padded to 28 x 28"]
    assert fit(Picture(torch.ones(28, 28), []), 28).told == []
    assert fit(Picture(torch.ones(1, 900), []), 28).grey.sum() > 0


def test_a_digit_keeps_its_scale_on_a_larger_canvas(tmp_path):
    result, message = told(zoo.pipeline(saved(tmp_path, 60)), digit())
    assert "padded to 60 x 60" in message and "resized" not in message
    assert torch.allclose(seen(result)[16:44, 16:44], torch.from_numpy(digit()) / 255)
    _, message = told(zoo.pipeline(saved(tmp_path, 60)), digit(120, 120))
    assert "resized from 120 x 120 to 60 x 60" in message


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (np.zeros((0, 28)), r"the picture: it is empty \(shape \(0, 28\)\)"),
        (np.zeros((1, 1, 1, 28, 28)), r"shape \(1, 1, 1, 28, 28\) is not that of a picture"),
        (np.zeros(28), r"shape \(28,\) is not that of a picture"),
        (np.zeros((10, 28, 28)), r"shape \(10, 28, 28\).*1, 3 or 4 channels"),
        (np.full((28, 28), np.nan), "not finite"),
        (torch.full((28, 28), torch.inf), "not finite"),
        (
            torch.randn(28, 28, generator=torch.Generator().manual_seed(0)),
            r"values go from -.* expected 0 to 1 or 0 to 255",
        ),
        (np.full((28, 28), 1000.0), "values go from 1000 to 1000"),
        (np.array([["a"]]), "not numbers"),
        (np.zeros((28, 28), complex), "not numbers"),
        (Image.new("L", (0, 5)), r"it is empty \(0 x 5 pixels\)"),
        (Image.new("RGBA", (28, 28)), "fully transparent"),
        (7, "a path, a PIL image, an array or a tensor, not int"),
        (None, "not NoneType"),
        ({}, "not dict"),
        ([], "list of inputs is empty"),
        (np.zeros((0, 1, 28, 28)), "list of inputs is empty"),
        ("/no/such/file.png", "/no/such/file.png: there is no such file"),
        ("/", "/: it is a folder"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(pipe, raw, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        pipe(raw)
    assert "\n" not in str(caught.value)


def test_broken_files_are_refused_by_name(pipe, tmp_path):
    (tmp_path / "notes.png").write_text("these are no pixels")
    Image.fromarray(digit(300, 300)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:150])
    (tmp_path / "nothing.png").write_bytes(b"")
    for name in ("notes.png", "cut.png", "nothing.png"):
        with pytest.raises(InputError, match=re.escape(str(tmp_path / name))) as caught:
            pipe(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_blank_picture_is_told(pipe):
    assert "all pixels are alike" in told(pipe, np.zeros((28, 28)))[1]


def test_a_batch_gives_a_list(pipe):
    pictures = [digit(), digit().T.copy()]
    expected = [quiet(pipe, each).probabilities for each in pictures]
    unit = torch.from_numpy(np.stack(pictures))[:, None] / 255
    for batch in (pictures, tuple(pictures), unit, unit.numpy()):
        results = quiet(pipe, batch)
        assert len(results) == 2
        for result, probabilities in zip(results, expected, strict=True):
            assert result.probabilities == pytest.approx(probabilities, abs=1e-5)
            assert result.attention.boxes.shape == (1, 3, 1, 4)
    with pytest.raises(InputError, match="picture 1: it is empty"):
        pipe([digit(), np.zeros((0, 0))])


def test_starts_are_fixed_and_averaged(pipe):
    state = torch.get_rng_state()
    several = [quiet(pipe, digit(), starts=n) for n in (1, 2, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert several[1].probabilities == several[2].probabilities != several[0].probabilities
    image = torch.from_numpy(digit())[None, None] / 255
    with torch.no_grad():
        each = [pipe.network(image, pipe._offsets(1, m)).logits.softmax(-1)[0] for m in range(2)]
    assert several[1].probabilities == pytest.approx(((each[0] + each[1]) / 2).tolist(), abs=1e-6)
    assert not torch.equal(pipe._offsets(1, 0), pipe._offsets(1, 1))
    assert torch.equal(several[0].attention.boxes, several[1].attention.boxes)
    for wrong in (0, -1, 1.5, "two"):
        with pytest.raises(InputError, match="starts is"):
            pipe(digit(), starts=wrong)


def test_a_model_that_takes_no_pictures_says_so(pipe):
    with pytest.raises(InputError, match="does not take pictures"):
        Glimpses(pipe.network, {**pipe.config, "preprocess": {}})(digit())


def test_a_plot_is_an_image(pipe, tmp_path):
    result = quiet(pipe, digit())
    result.plot(tmp_path / "path.png")
    assert result.title.startswith(str(result.label))
    with Image.open(tmp_path / "path.png") as image:
        assert min(image.size) > 100 and len(np.unique(np.asarray(image.convert("L")))) > 2


def test_a_text_room_needs_no_more_than_answer(tmp_path):
    """Sentences in, one file beside the weights, options passed on."""

    class Upper(Pipeline):
        task = "translation"

        def answer(self, batch, mark="."):
            tokenizer = json.loads((self.folder / "tokenizer.json").read_text())
            names = [[tokenizer[word] + mark for word in sentence.split()] for sentence in batch]
            return [Result(Attention(weights=torch.ones(1, 1, 1, len(each)), inputs=[each])) for each in names]

    (tmp_path / "tokenizer.json").write_text('{"a": "A"}')
    pipe = Upper(nn.Linear(1, 1), {"slug": "upper"}, tmp_path)
    assert pipe("a a").attention.inputs == [["A.", "A."]]
    assert [r.attention.inputs for r in pipe(["a", "a a"], mark="!")] == [[["A!"]], [["A!", "A!"]]]
    assert not pipe.network.training


def test_read_picture_reports_what_it_refuses():
    with pytest.raises(PictureError, match="fully transparent"):
        read_picture(np.zeros((4, 4, 4), np.uint8))
    assert read_picture(np.zeros((3, 5, 3), np.uint8)).grey.shape == (3, 5)
    assert read_picture(torch.zeros(3, 5, 3)).grey.shape == (5, 3)


class TestPredict:
    def test_the_command(self, tmp_path):
        Image.fromarray(digit(56, 56)).convert("RGB").save(tmp_path / "my digit (1).png")
        done = called(
            "predict",
            f"name={saved(tmp_path, 28)}",
            f"input={tmp_path / 'my digit (1).png'}",
            f"output={tmp_path / 'p.png'}",
        )
        answer = last_json(done.stdout)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = zoo.pipeline(saved(tmp_path, 28))(tmp_path / "my digit (1).png")
        assert answer["label"] == expected.label and answer["output"] == str(tmp_path / "p.png")
        assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
        assert "my digit (1).png: colours turned to grey, found at 8 x 40 pixels, scaled to 4 x 20" in done.stderr
        assert Image.open(tmp_path / "p.png").size[0] > 100

    def test_several_inputs_and_options(self, tmp_path, capsys, composed):
        from zoo.commands.predicting import predict

        for name in ("a", "b"):
            Image.fromarray(digit()).save(tmp_path / f"{name}.png")
        given = f"input=[{tmp_path / 'a.png'},{tmp_path / 'b.png'}]"
        predict(self.config(f"name={saved(tmp_path, 28)}", given, "+options.starts=1"))
        one, two = last_json(capsys.readouterr().out)
        assert one["probabilities"] == two["probabilities"] and two["input"] == str(tmp_path / "b.png")

    @staticmethod
    def config(*overrides):
        from hydra import compose, initialize_config_module

        with initialize_config_module("conf", version_base="1.3"):
            return compose("predict", overrides=list(overrides))

    @pytest.mark.parametrize(
        ("overrides", "sentence"),
        [
            (["name=ram.mnist28_77", "input=x.png"], "did you mean ram.mnist28_7"),
            (["name=/nowhere", "input=x.png"], "/nowhere: there is no such folder"),
            (["name=WEIGHTS", "input=/no/such.png"], "/no/such.png: there is no such file"),
            (["name=WEIGHTS", "input=x.png", "+options.strats=1"], "no option 'strats'; did you mean starts?"),
            (["name=WEIGHTS", "input=x.png", "output=/nowhere/x.png"], "there is no folder /nowhere"),
            (["name=WEIGHTS"], "name=<slug>.<row> input=<path>"),
        ],
    )
    def test_errors_are_one_sentence(self, overrides, sentence, tmp_path, capsys):
        from zoo.commands.predicting import predict

        with pytest.raises(SystemExit) as stop:
            predict(self.config(*(each.replace("WEIGHTS", saved(tmp_path, 28)) for each in overrides)))
        out, err = capsys.readouterr()
        assert stop.value.code == 1 and out == "" and sentence in err and err.count("\n") == 1

    def test_the_command_fails_without_a_traceback(self, tmp_path):
        failed = called("predict", "name=ram.mnist28_77", "input=x.png", check=False)
        assert failed.returncode == 1 and failed.stdout == ""
        assert failed.stderr.count("\n") == 1 and "did you mean ram.mnist28_7" in failed.stderr

    def test_paths_and_sentences_need_no_quotes(self):
        from hydra.core.override_parser.overrides_parser import OverridesParser

        from zoo.commands.predicting import literal

        for path in ("a b.png", "a (1).png", "it's.png", "a=b.png", "a,b.png", "plain.png", "{x}.png", "1", *SENTENCES):
            (override,) = OverridesParser.create().parse_overrides(literal([f"input={path}"]))
            assert override.value() == path
        assert literal(["input=[a,b]", "output=null", "seed=1", "--help"]) == [
            "input=[a,b]",
            "output=null",
            "seed=1",
            "--help",
        ]
