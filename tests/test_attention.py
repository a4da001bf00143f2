"""The attention record and its measures, against numbers worked out by hand and NumPy loops."""

import math

import numpy as np
import pytest
import torch

from zoo.looking.attention import Attention
from zoo.models.ram.network import RAM


def texts() -> Attention:
    """Two samples, two heads; the second sample has 2 of 3 outputs and 3 of 4 inputs."""
    weights = torch.rand(2, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    weights[0, 0, 0] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    weights[1, :, :, 3] = 0
    weights = weights / weights.sum(-1, keepdim=True)
    return Attention(weights=weights, inputs=[list("abcd"), list("efg")], outputs=[list("uvw"), list("xy")])


def windows() -> Attention:
    boxes = torch.tensor([[[0, 0, 4, 4], [-2, -2, 6, 6]], [[3, 4, 7, 8], [1, 2, 9, 10]], [[3, 4, 7, 8], [1, 2, 9, 10]]])
    return Attention(boxes=boxes[None].float(), images=torch.zeros(1, 1, 8, 10))


def test_entropy_is_that_of_numpy_loops_over_the_valid_inputs():
    record = texts()
    entropy = record.entropy()
    assert entropy.shape == (2, 2, 3) and entropy[0, 0, 0] == 0
    for i, head, o in np.ndindex(2, 2, 3):
        if o >= len(record.outputs[i]):
            assert entropy[i, head, o].isnan()
            continue
        row = record.weights[i, head, o, : len(record.inputs[i])].double().tolist()
        assert entropy[i, head, o].item() == pytest.approx(-sum(p * math.log(p) for p in row if p), abs=1e-5)


def test_entropy_of_a_uniform_row_is_the_logarithm_of_its_length_in_half_precision_too():
    record = Attention(weights=torch.full((1, 1, 1, 8), 1 / 8, dtype=torch.bfloat16))
    assert record.entropy().dtype == torch.float32
    assert record.entropy().item() == pytest.approx(math.log(8))


def test_what_stands_on_inputs_that_are_not_valid_does_not_count():
    weights = torch.tensor([0.5, 0.5, 7.0]).view(1, 1, 1, 3).expand(1, 1, 2, 3)
    record = Attention(weights=weights, inputs=[["a", "b"]])
    assert record.entropy().flatten().tolist() == pytest.approx([math.log(2)] * 2)
    assert record.mass_on(torch.tensor([[False, True, True]])).flatten().tolist() == [0.5, 0.5]


def test_change_of_weights_is_the_total_variation_distance():
    weights = torch.tensor([[1, 0, 0], [0, 0, 1], [0, 0.5, 0.5], [0, 0.5, 0.5]])[None, None]
    assert Attention(weights=weights).change().tolist() == [[[1.0, 0.5, 0.0]]]
    change = Attention(weights=weights, outputs=[["a", "b"]]).change()
    assert change[0, 0, 0] == 1 and change[0, 0, 1:].isnan().all()


def test_change_of_boxes_is_the_distance_of_the_centres_in_pixels():
    assert windows().change().tolist() == [[5.0, 0.0]]  # from (2, 2) to (5, 6)


def test_mass_on_a_mask_is_the_sum_of_its_weights():
    record, truth = texts(), torch.tensor([[True, False, False, True], [False, True, False, True]])
    mass = record.mass_on(truth)
    for i, head, o in np.ndindex(2, 2, len(record.outputs[1])):
        row = record.weights[i, head, o].tolist()
        expected = sum(row[j] for j in range(len(record.inputs[i])) if truth[i, j])
        assert mass[i, head, o].item() == pytest.approx(expected, abs=1e-6)
    assert mass[1, :, 2].isnan().all() and not mass[0].isnan().any()


def test_mass_on_a_box_is_the_share_of_its_pixels_under_the_finest_window():
    record, (left, top, right, bottom) = windows(), (2, 1, 5, 6)
    mass = record.mass_on(torch.tensor([[left, top, right, bottom]]))[0]
    for step, box in enumerate(record.boxes[0, :, 0].tolist()):
        pixels = [(x, y) for x in range(left, right) for y in range(top, bottom)]
        under = [box[0] <= x < box[2] and box[1] <= y < box[3] for x, y in pixels]
        assert mass[step].item() == pytest.approx(np.mean(under))
    assert record.mass_on(torch.tensor([[20.0, 20, 30, 30]])).tolist() == [[0.0, 0.0, 0.0]]


def test_measures_need_what_they_measure():
    with pytest.raises(ValueError, match="needs weights"):
        windows().entropy()
    with pytest.raises(ValueError, match="boolean mask"):
        texts().mass_on(torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"expected \(2, 4\)"):
        texts().mass_on(torch.zeros(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="sample 0 has no area"):
        windows().mass_on(torch.tensor([[3, 3, 3, 9]]))


def test_a_sample_is_a_record_of_what_is_valid():
    record = texts()
    assert len(record) == 2 and [len(one) for one in record] == [1, 1]
    second = record[1]
    assert second.inputs == [["e", "f", "g"]] and second.outputs == [["x", "y"]]
    assert torch.equal(second.weights, record.weights[1:, :, :2, :3])
    assert torch.equal(record[-1].weights, second.weights)
    assert torch.equal(second.entropy(), record.entropy()[1:, :, :2])
    assert torch.equal(second.change(), record.change()[1:, :, :1])
    with pytest.raises(IndexError, match="sample 2 of a record of 2"):
        record[2]


def test_a_sample_of_boxes_keeps_image_and_views():
    both = torch.arange(2.0).view(2, 1, 1, 1)
    record = Attention(
        boxes=both.expand(2, 3, 1, 4), images=both.expand(2, 1, 5, 5), views=both[..., None].expand(2, 3, 1, 2, 2),
        outputs=[["a", "b", "c"], ["d"]],
    )  # fmt: skip
    second = record[1]
    assert second.boxes.shape == (1, 1, 1, 4) and second.views.shape == (1, 1, 1, 2, 2)
    assert second.images.unique().tolist() == second.views.unique().tolist() == [1.0]


WEIGHTS, BOXES, IMAGES = torch.ones(2, 1, 3, 4) / 4, torch.ones(2, 3, 2, 4), torch.ones(2, 1, 8, 8)
VIEWS = torch.ones(2, 3, 2, 4, 4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "needs weights or boxes"),
        ({"images": IMAGES}, "needs weights or boxes"),
        ({"weights": WEIGHTS[0]}, r"weights has the shape \(1, 3, 4\), expected \(batch, heads, outputs, inputs\)"),
        ({"boxes": BOXES[..., :2]}, r"boxes has the shape \(2, 3, 2, 2\)"),
        ({"boxes": BOXES[:, :, :0]}, r"boxes has the shape \(2, 3, 0, 4\)"),
        ({"weights": WEIGHTS, "images": IMAGES[:1]}, "images is for 1 samples and the record for 2"),
        ({"weights": WEIGHTS, "boxes": BOXES[:1]}, "boxes is for 1 samples"),
        ({"weights": WEIGHTS, "boxes": BOXES[:, :2]}, "3 outputs and boxes has 2 steps"),
        ({"weights": WEIGHTS, "inputs": [["a"]]}, "inputs is for 1 samples"),
        ({"weights": WEIGHTS, "inputs": [["a"], list("abcde")]}, "inputs of sample 1 is 5 names"),
        ({"weights": WEIGHTS, "inputs": ["abc", "def"]}, "inputs of sample 0 is one string"),
        ({"boxes": BOXES, "outputs": [["a"], list("abcd")]}, "outputs of sample 1 is 4 names"),
        ({"boxes": BOXES, "inputs": [["a"], ["b"]]}, "there are no weights"),
        ({"boxes": BOXES, "grid": (2, 2)}, "not for boxes"),
        ({"weights": WEIGHTS, "grid": (2, 2), "inputs": [["a"], ["b"]]}, "not for names"),
        ({"weights": WEIGHTS, "grid": (3, 2)}, "3 x 2 cells does not fit weights over 4 inputs"),
        ({"weights": WEIGHTS, "views": VIEWS}, "there are no boxes"),
        ({"boxes": BOXES, "views": VIEWS[:, :2]}, r"views is of \(2, 2\)"),
        ({"weights": WEIGHTS, "layers": 2}, "1 heads cannot be those of 2 layers"),
        ({"boxes": BOXES, "layers": 2}, "0 heads"),
        ({"boxes": BOXES, "views": VIEWS[:, :, :1]}, r"views is of \(3, 1\)"),
    ],
)
def test_fields_that_do_not_belong_together_are_one_sentence(fields, message):
    with pytest.raises(ValueError, match=message) as caught:
        Attention(**fields)
    assert "\n" not in str(caught.value)


def test_fields_that_belong_together_are_kept():
    Attention(weights=WEIGHTS, grid=(2, 2), images=IMAGES, outputs=[["a"], []])
    Attention(boxes=BOXES, images=IMAGES, views=VIEWS.repeat(1, 1, 3, 1, 1), weights=WEIGHTS)


def test_boxes_of_ram_are_crops_of_an_asymmetric_image():
    torch.manual_seed(0)
    network = RAM(num_glimpses=4, glimpse_size=4, num_scales=2, channels=3, hidden=16)
    image = torch.rand(5, 3, 12, 30)  # wide: an exchange of x and y would leave the image
    offsets = torch.rand(5, 4, 2) * 2 - 1
    record = network.record(image, offsets)
    assert record.boxes.shape == (5, 4, 2, 4) and record.views.shape == (5, 4, 6, 4, 4)
    assert record.images is image and not record.views.requires_grad
    assert record.boxes[..., 2].max() > 16  # some window is beyond what is high
    padded = torch.nn.functional.pad(image, (20, 20, 20, 20))
    locations = network(image, offsets).locations
    for i, step in np.ndindex(5, 4):
        x, y = ((locations[i, step] + 1) / 2 * torch.tensor([30, 12])).round().tolist()
        for scale in range(2):
            left, top, right, bottom = record.boxes[i, step, scale].int().tolist()
            assert right - left == bottom - top == 4 * 2**scale
            assert ((left + right) / 2, (top + bottom) / 2) == (x, y)
            crop = padded[i, :, top + 20 : bottom + 20, left + 20 : right + 20]
            cells = torch.nn.functional.avg_pool2d(crop, 2**scale)
            torch.testing.assert_close(record.views[i, step, 3 * scale : 3 * scale + 3], cells, atol=1e-4, rtol=0)


def test_record_of_ram_follows_the_means_from_a_random_start_without_offsets():
    torch.manual_seed(0)
    network = RAM(num_glimpses=2, glimpse_size=4, hidden=16)
    starts = network.record(torch.rand(20, 1, 16, 16)).boxes[:, 0, 0]
    assert len(starts.unique(dim=0)) > 10
