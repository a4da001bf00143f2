"""The retina against a crop and average pool written as loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.models.ram import RAM
from zoo.nn.glimpse import UNIT, integral_image, patch, pooled, retina, zoom_edges, zoomed

relaxed = settings(deadline=None, max_examples=40, derandomize=True)


def slow_retina(image: np.ndarray, x: int, y: int, size: int, scales: int) -> np.ndarray:
    """(channels, height, width) to (scales * channels, size, size); (x, y) is a corner between pixels."""
    channels, height, width = image.shape
    out = np.zeros((scales, channels, size, size))
    for scale in range(scales):
        block = 2**scale
        left, top = x - size * block // 2, y - size * block // 2
        for channel in range(channels):
            for row in range(size * block):
                for column in range(size * block):
                    if 0 <= top + row < height and 0 <= left + column < width:
                        pixel = image[channel, top + row, left + column]
                        out[scale, channel, row // block, column // block] += pixel / block**2
    return out.reshape(scales * channels, size, size)


def look(image: torch.Tensor, location: torch.Tensor, size: int, scales: int) -> torch.Tensor:
    return retina(integral_image(image), location, size, scales)


@st.composite
def views(draw):
    """Images, one corner in pixels for each, and locations at most 0.4 pixels away from it."""
    batch, channels = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    height, width = draw(st.integers(1, 13)), draw(st.integers(1, 13))
    image = np.random.default_rng(draw(st.integers(0, 99))).random((batch, channels, height, width))
    corners, locations = [], []
    for _ in range(batch):
        x = draw(st.sampled_from([0, width]) | st.integers(-3, width + 3))
        y = draw(st.sampled_from([0, height]) | st.integers(-3, height + 3))
        off = [draw(st.sampled_from([-0.4, 0.0, 0.4])) for _ in range(2)]
        corners.append((x, y))
        locations.append((2 * (x + off[0]) / width - 1, 2 * (y + off[1]) / height - 1))
    return image, corners, locations, draw(st.sampled_from([2, 4, 6])), draw(st.integers(1, 4))


@relaxed
@given(views())
def test_retina_is_a_zero_padded_crop_and_average_pool(view):
    image, corners, locations, size, scales = view
    seen = look(torch.tensor(image, dtype=torch.float32), torch.tensor(locations), size, scales)
    slow = [slow_retina(picture, x, y, size, scales) for picture, (x, y) in zip(image, corners, strict=True)]
    assert seen.dtype == torch.float32
    np.testing.assert_allclose(seen.numpy(), np.stack(slow), atol=1e-7)
    means = pooled(torch.tensor(image), torch.tensor(locations), size, scales)
    np.testing.assert_allclose(means.numpy(), np.stack(slow), atol=1e-12)
    finest = patch(torch.tensor(image), torch.tensor(locations), size)
    np.testing.assert_array_equal(finest.numpy(), np.stack(slow)[:, : image.shape[1]])


@relaxed
@given(views(), st.integers(1, 3))
def test_a_zoomed_glimpse_is_the_patch_of_its_scale(view, count):
    image, corners, locations, size, scales = view
    image, places = torch.tensor(image, dtype=torch.float32), torch.tensor(locations)[:, None].expand(-1, count, -1)
    scale = torch.arange(len(image) * count).view(-1, count) % scales
    seen = zoomed(integral_image(image), places, scale, size)
    edges = zoom_edges(places, scale, *image.shape[2:], size)
    for i, (x, y) in enumerate(corners):
        slow = slow_retina(image[i].numpy(), x, y, size, scales).reshape(scales, -1, size, size)
        for j in range(count):
            np.testing.assert_allclose(seen[i, j].numpy(), slow[scale[i, j]], atol=1e-6)
            half = size // 2 * 2 ** scale[i, j].item()
            assert edges[i, j, :, 0].tolist() == [x - half, y - half] and edges[i, j, :, -1].tolist() == [
                x + half,
                y + half,
            ]


@relaxed
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_integral_image_gives_the_sum_of_every_box(height, width, seed):
    image = np.random.default_rng(seed).integers(0, 256, (2, 3, height, width), dtype=np.uint8)
    integral = integral_image(torch.from_numpy(image)).numpy()
    assert integral.shape == (2, 3, height + 1, width + 1) and integral.dtype == np.int64
    for top in range(height + 1):
        for left in range(width + 1):
            bottom, right = (top + height + 1) // 2, (left + width + 1) // 2
            box = integral[..., bottom, right] - integral[..., top, right] - integral[..., bottom, left]
            expected = image[..., top:bottom, left:right].sum((-1, -2), dtype=np.int64)
            np.testing.assert_array_equal((box + integral[..., top, left]) * UNIT, expected)


@pytest.mark.parametrize("bright", [1.0, 255.0, 65535.0])
def test_a_large_picture_loses_nothing_far_from_its_corner(bright):
    """Sums of 4 million pixels, of which float32 keeps 7 digits; those of 65535 overflow, and do no harm."""
    image = torch.rand(1, 1, 2048, 2048, generator=torch.Generator().manual_seed(0)) * bright
    for place in (-0.9, 0.0, 0.99):
        location = torch.full((1, 2), place)
        seen, means = look(image, location, 8, 4), pooled(image.double(), location, 8, 4)
        torch.testing.assert_close(seen.double(), means, rtol=0, atol=1e-7 * bright)


@pytest.mark.parametrize("num_scales", [1, 3])
def test_a_saliency_map_of_the_picture(num_scales):
    """The gradient of a logit by finite differences, in the direction of some noise."""
    torch.manual_seed(0)
    network = RAM(num_glimpses=3, num_scales=num_scales, glimpse_size=4, policy="random").double()
    image, offsets = torch.rand(2, 1, 20, 20, dtype=torch.float64), torch.zeros(2, 3, 2)
    direction = torch.randn_like(image)

    def logit(image):
        return network(image, offsets).logits[:, 3].sum()

    gradient = torch.autograd.functional.vjp(logit, image)[1]
    ahead, behind = (logit((image.detach() + step * direction).requires_grad_()) for step in (1e-6, -1e-6))
    torch.testing.assert_close((gradient * direction).sum(), (ahead - behind).detach() / 2e-6, rtol=1e-6, atol=1e-9)


def test_location_is_x_then_y():
    image = torch.zeros(1, 1, 6, 10)
    image[0, 0, 1, 8] = 1.0  # top right: row 1, column 8
    top_right, bottom_left = torch.tensor([[2 * 8 / 10 - 1, 2 * 1 / 6 - 1]]), torch.tensor([[-0.6, 2 * 5 / 6 - 1]])
    assert look(image, top_right, 2, 1)[0, 0].tolist() == [[0, 0], [0, 1]]
    assert look(image, bottom_left, 2, 1).sum() == 0


def test_first_row_of_the_patch_is_the_upper_one():
    image = torch.arange(24.0).view(1, 1, 4, 6)
    assert look(image, torch.zeros(1, 2), 2, 1)[0, 0].tolist() == [[8, 9], [14, 15]]


@pytest.mark.parametrize(
    ("location", "pixel", "cell"),
    [((-1, -1), (0, 0), (1, 1)), ((1, -1), (0, 6), (1, 0)), ((-1, 1), (4, 0), (0, 1)), ((1, 1), (4, 6), (0, 0))],
)
def test_corners_of_the_image_are_at_plus_and_minus_one(location, pixel, cell):
    image = torch.rand(1, 1, 5, 7) + 1
    seen = look(image, torch.tensor([location]), 2, 1)[0, 0]
    expected = torch.zeros(2, 2)
    expected[cell] = image[0, 0][pixel]
    torch.testing.assert_close(seen, expected)


def test_scales_come_before_channels():
    image = torch.cat((torch.full((1, 1, 32, 32), 0.25), torch.full((1, 1, 32, 32), 0.75)), 1)
    seen = look(image, torch.zeros(1, 2), 4, 3)
    assert seen.mean((-1, -2))[0].tolist() == [0.25, 0.75] * 3


def test_no_gradient_reaches_the_location():
    location = torch.zeros(2, 2, requires_grad=True)
    assert not look(torch.rand(2, 1, 8, 8), location, 4, 2).requires_grad


def test_gradient_reaches_the_image():
    image = torch.rand(1, 1, 4, 4, requires_grad=True)
    pooled(image, torch.zeros(1, 2), 2, 1).sum().backward()
    expected = torch.zeros(4, 4)
    expected[1:3, 1:3] = 1
    assert torch.equal(image.grad[0, 0], expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_location_of_another_precision_sees_in_float32(dtype):
    image, location = torch.rand(2, 1, 8, 8), torch.tensor([[0.25, -0.5], [1.0, 0.0]])
    seen = look(image, location.to(dtype), 4, 2)
    assert seen.dtype == torch.float32
    torch.testing.assert_close(seen, look(image, location, 4, 2))
