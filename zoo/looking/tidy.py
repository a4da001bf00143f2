"""A digit as people photograph or draw it, made what the networks know: bright ink on a black ground, in its place.

The ground may be paper, slate or black, lit unevenly or half in shadow; the ink may be faint. Ink is what is narrower
than half of the picture and stands out from what is around it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.looking.pictures import Picture

WORK = 256  # pixels of the longer side in which ink is looked for
WIDE = 2  # strokes are narrower than the picture's longer side by this
EVEN = 0.3  # share of the pixels that have one brightness where a ground was drawn and not photographed
SURE = 0.5  # of all that is off the sides' ground, the excess of what is brighter, or darker, that settles which is ink
LEAST = 0.02  # contrast that is ink at all
DARK = 0.1  # grounds below are black, and brightness on them is not relative to theirs
SPECK = 0.05  # runs of rows or columns with less than this share of the ink are dirt
THIN = 0.04  # rows and columns with less than this share of the ink of the fullest are empty
BOX = 20  # pixels of the longer side of an MNIST digit in its 28
NEAR = 1.5  # pixels off its place or size that are left as they are


def tidy(picture: Picture, size: int, whole: bool) -> Picture:
    """A picture with bright ink on black.

    Args:
        picture: grey, of any ground.
        size: side of what the network knows as a digit.
        whole: whether the digit is all there is in the network's pictures, so that it is put in its place as in MNIST:
            the longer side of 20 pixels of 28, the centre of mass in the middle. Else the picture keeps its extent.

    Returns:
        The picture, of `size` pixels where `whole`; and what was done, in words.
    """
    ink, done = find_ink(picture.grey)
    told = [*picture.told, *done]
    if not whole or not bool(ink.any()):
        return Picture(ink, told)
    top, bottom, left, right = extent(ink)
    longer = max(bottom - top, right - left)
    if longer * 4 < max(ink.shape):  # far away: look at that part alone
        near, _ = find_ink(picture.grey[max(0, top - longer) : bottom + longer, max(0, left - longer) : right + longer])
        ink = near if bool(near.any()) else ink  # of a few pixels nothing may stand out
    return Picture(*centred(ink, size, told))


def find_ink(grey: Tensor) -> tuple[Tensor, list[str]]:
    """The ink of a picture, (height, width) in [0, 1] with 0 for the ground, and what was done in words."""
    done = []
    small = shrunk(grey)
    even = even_ground(small)
    bright = is_bright(small) if even is None else even[1]
    if bright:
        grey, small = 1 - grey, 1 - small
        done.append("its bright ground inverted")
    base = slope(small)  # opened as it is, the end of a slope would be taken for a stroke
    ground = torch.maximum(opened(small), base + opened(small - base))
    if even is not None:
        ground = torch.full_like(small, 1 - even[0] if bright else even[0])
    level, uneven = ground.median(), float(ground.quantile(0.95) - ground.quantile(0.05))
    scale = (grey.shape[0] / small.shape[0], grey.shape[1] / small.shape[1])
    if max(scale) > 1:
        ground = F.interpolate(ground[None, None], size=grey.shape, mode="bilinear")[0, 0]
    above = grey - ground
    some = above.flatten()[:: max(1, above.numel() // 10**5)]
    low, third = some.quantile(torch.tensor([0.05, 0.3]))  # of the ground, which is at least half of the picture
    noise = (third - low) / 1.12  # the standard deviation, by both quantiles of a normal distribution
    above, noise = (above - third - 0.52 * noise).clamp(min=0), 3.5 * noise
    if bright or float(level) > DARK:
        light = ((1 - ground) if bright else ground).clamp(min=DARK)  # ink takes or gives a share of it
        above, noise = above / light, noise / light
    strong = above.flatten().topk(max(1, min(above.numel(), 3 + above.numel() // 20_000))).values[-1]
    strong = above[above >= strong / 2].median()
    if float(strong) < max(LEAST, 1.5 * float(noise.min())):
        return torch.zeros_like(above), [*done, "nothing stands out from its ground"]
    if float(level) > 0.02 or uneven > 0.02 or float(noise.max()) > 0.02:
        done.append("its uneven ground made black" if uneven > 0.1 else "its grey ground made black")
    if float(strong) < 0.8:
        done.append(f"a contrast of {float(strong):.0%} stretched")
    elif not done:
        return grey, done
    floor = noise.clamp(min=0.1 * float(strong), max=0.9 * float(strong))
    return ((above - floor) / (strong - floor)).clamp(0, 1), done


def shrunk(grey: Tensor) -> Tensor:
    """At most WORK pixels on its longer side."""
    longer = max(grey.shape)
    if longer <= WORK:
        return grey
    size = [max(1, round(side * WORK / longer)) for side in grey.shape]
    return F.interpolate(grey[None, None], size=size, mode="bilinear", antialias=True)[0, 0].clamp(0, 1)


def even_ground(grey: Tensor) -> tuple[float, bool] | None:
    """Of a ground that was drawn in one brightness, that, and whether the ink is darker; None for another."""
    border = torch.cat((grey[0], grey[-1], grey[:, 0], grey[:, -1]))
    level = float(border.mul(100).round().mode().values) / 100
    off = grey - level
    ground = off.abs() < 0.01
    ink = off[~ground]
    darker = float((ink < 0).float().mean()) if len(ink) else 0.5
    on_sides = float(((border - level).abs() < 0.01).float().mean())
    if on_sides < 2 * EVEN or float(ground.float().mean()) < EVEN or 0.02 < darker < 0.98:
        return None
    return float(grey[ground].median()), darker > 0.5


def is_bright(grey: Tensor) -> bool:
    """Whether the ink is darker than the ground: than what the four sides of the picture say of it in between."""
    off = (grey - between_sides(grey)).pow(3)  # ink is off by more than a ground that is not quite what its sides say
    if abs(float(off.sum())) > SURE * float(off.abs().sum()):
        return float(off.sum()) < 0
    return float((grey > (grey.min() + grey.max()) / 2).float().mean()) > 0.5  # strokes on the sides: ink covers less


def between_sides(grey: Tensor) -> Tensor:
    """The surface with the sides of a picture that is straight in between (Coons 1967), without strokes on a side."""
    width = max(1, max(grey.shape) // 28)
    top, bottom, left, right = (
        calmed(side.median(axis).values)
        for side, axis in ((grey[:width], 0), (grey[-width:], 0), (grey[:, :width], 1), (grey[:, -width:], 1))
    )
    down, across = (torch.linspace(0, 1, side) for side in grey.shape)
    down = down[:, None]
    upper, lower = (
        (a + b) / 2
        for a, b in (
            (top[[0, -1]], torch.stack((left[0], right[0]))),
            (bottom[[0, -1]], torch.stack((left[-1], right[-1]))),
        )
    )
    corners = torch.lerp(torch.lerp(upper[0], upper[1], across), torch.lerp(lower[0], lower[1], across), down)
    return torch.lerp(top, bottom, down) + torch.lerp(left[:, None], right[:, None], across) - corners


def slope(grey: Tensor) -> Tensor:
    """The plane that is nearest to the picture by the sum of the distances, which strokes hardly move."""
    down, across = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in grey.shape), indexing="ij")
    places = torch.stack((torch.ones_like(down), down, across), -1).flatten(0, 1)
    weight, of = torch.ones(len(places)), torch.zeros(3)
    for _ in range(20):  # least squares, in which what is far off weighs less and less
        weighted = places * weight[:, None]
        of = torch.linalg.lstsq(weighted.T @ places + 1e-6 * torch.eye(3), weighted.T @ grey.flatten()).solution
        weight = 1 / (grey.flatten() - places @ of).abs().clamp(min=0.01)
        weight = weight / weight.mean()
    return (places @ of).view(grey.shape)


def calmed(side: Tensor) -> Tensor:
    """The median of a third of a side around each of its pixels."""
    half = len(side) // 6
    return F.pad(side[None], (half, half), mode="replicate")[0].unfold(0, 2 * half + 1, 1).median(-1).values


def opened(grey: Tensor) -> Tensor:
    """Without what is bright and narrow: the least and then the greatest value around each pixel."""
    return -closed(-grey)


def closed(grey: Tensor) -> Tensor:
    """Without what is dark and narrow."""
    return -widened(-widened(grey))


def widened(grey: Tensor) -> Tensor:
    """The greatest value around each pixel."""
    half = max(1, max(grey.shape) // WIDE // 2)
    for axis in (0, 1):
        kernel = [1, 1]
        kernel[axis] = 2 * half + 1
        padding = [0, 0]
        padding[axis] = half
        grey = F.max_pool2d(grey[None, None], kernel, 1, padding)[0, 0]
    return grey


def extent(ink: Tensor) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the ink without specks of dirt above, below or beside it; ends excluded."""
    top, bottom = stretch(ink.sum(1))
    left, right = stretch(ink[top:bottom].sum(0))
    return top, bottom, left, right


def stretch(profile: Tensor) -> tuple[int, int]:
    """From the first to the last of the runs of ink along an axis that are more than a speck."""
    filled = F.pad((profile > THIN * profile.max()).int(), (1, 1))
    first, last = ((filled.diff() == sign).nonzero()[:, 0].tolist() for sign in (1, -1))
    runs = [(a, b) for a, b in zip(first, last, strict=True) if profile[a:b].sum() >= SPECK * profile.sum()]
    return runs[0][0], runs[-1][1]


def centred(ink: Tensor, size: int, told: list[str]) -> tuple[Tensor, list[str]]:
    """The ink where MNIST has it: scaled to 20 pixels of 28, with its centre of mass in the middle."""
    top, bottom, left, right = extent(ink)
    height, width = bottom - top, right - left
    box = BOX * size / 28
    scale = box / max(height, width)
    y, x = mass(ink)
    in_place = ink.shape == (size, size) and abs(max(height, width) - box) <= NEAR
    if in_place and max(abs(y - size / 2), abs(x - size / 2)) <= NEAR:
        return ink, told
    around = F.pad(ink, (1, 1, 1, 1))[top : bottom + 2, left : right + 2]  # with the soft edge of the strokes
    new = tuple(max(1, round(side * scale)) for side in around.shape)
    how = "bicubic" if scale > 1 else "bilinear"
    digit = F.interpolate(around[None, None], size=new, mode=how, antialias=True)[0, 0].clamp(0, 1)
    y, x = mass(digit)
    page = digit.new_zeros(3 * size, 3 * size)
    first, second = (round(1.5 * size - at) for at in (y, x))
    page[first : first + new[0], second : second + new[1]] = digit
    page = page[size : 2 * size, size : 2 * size]
    return page, [
        *told,
        f"found at {width} x {height} pixels, scaled to {round(width * scale)} x {round(height * scale)} and centred",
    ]


def mass(ink: Tensor) -> tuple[float, float]:
    """The centre of mass as (y, x), in pixels from the top-left corner."""
    total = ink.sum()
    return tuple(float((ink.sum(1 - axis) * (torch.arange(ink.shape[axis]) + 0.5)).sum() / total) for axis in (0, 1))
