"""The drawings hold the numbers of the record, in the right places, and their labels can be read."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from PIL import Image

from zoo.looking.attention import Attention
from zoo.looking.plots import alignment_matrix, glimpse_path, head_lines, heat_maps, plot


def alignment(outputs: int = 2, inputs: int = 3, heads: int = 1) -> Attention:
    weights = torch.rand(2, heads, outputs + 1, inputs + 1, generator=torch.Generator().manual_seed(0))
    names = [f"wort{i}" for i in range(inputs)], [f"word{o}" for o in range(outputs)]
    return Attention(weights=weights, inputs=[["a"], names[0]], outputs=[["b"], names[1]])


def path(channels: int = 1) -> Attention:
    """Three steps of two windows on an image that is wider than high."""
    random = torch.Generator().manual_seed(0)
    centres = torch.tensor([[4, 3], [15, 8], [10, 2]])[:, None].float()  # (steps, 1, 2) as (x, y)
    half = torch.tensor([2.0, 4.0])[:, None]
    return Attention(
        boxes=torch.cat((centres - half, centres + half), -1)[None],
        images=torch.rand(1, channels, 10, 20, generator=random),
        views=torch.rand(1, 3, 2 * channels, 4, 4, generator=random),
    )


def draw(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def labels(axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels() if label.get_text()]


def test_alignment_has_inputs_on_x_and_outputs_on_y_from_black_0_to_white_the_largest_weight():
    record = alignment()
    most = float(record.weights[1, 0, :2, :3].max())
    ax = alignment_matrix(record, 1).axes[0]
    (image,) = ax.images
    np.testing.assert_allclose(image.get_array(), record.weights[1, 0, :2, :3].numpy())
    assert image.get_clim() == pytest.approx((0, most)), "which the scale beside it shows"
    assert image.to_rgba(0)[:3] == (0, 0, 0) and image.to_rgba(most)[:3] == (1, 1, 1)
    assert ax.figure.axes[-1].get_ylim() == pytest.approx((0, most))
    assert ax.figure.get_supxlabel() == "source" and ax.figure.get_supylabel() == "target"
    assert labels(ax.xaxis) == ["wort0", "wort1", "wort2"] and labels(ax.yaxis) == ["word0", "word1"]
    assert ax.yaxis_inverted()  # the first output is the top row


def test_each_head_has_a_panel():
    record = alignment(heads=5)
    axes = alignment_matrix(record, 1).axes
    panels = [ax for ax in axes if ax.images and ax.get_xlabel().startswith("head")]
    assert [ax.get_xlabel() for ax in panels] == [f"head {i}" for i in range(1, 6)]
    for head, ax in enumerate(panels):
        np.testing.assert_allclose(ax.images[0].get_array(), record.weights[1, head, :2, :3].numpy())


def test_each_layer_has_a_row_of_its_heads():
    record = replace(alignment(heads=6), layers=2)
    panels = [ax for ax in alignment_matrix(record, 1).axes if ax.images and ax.get_xlabel()]
    assert [ax.get_xlabel() for ax in panels] == [f"layer {i}, head {j}" for i in (1, 2) for j in (1, 2, 3)]
    assert len({round(ax.get_position().y0, 3) for ax in panels}) == 2
    for head, ax in enumerate(panels):
        np.testing.assert_allclose(ax.images[0].get_array(), record.weights[1, head, :2, :3].numpy())


def test_lines_go_from_outputs_to_inputs_in_a_colour_for_each_head_as_strong_as_the_weight():
    record = replace(alignment(heads=4), layers=2)
    figure = head_lines(record, 1)
    draw(figure)
    panels = [ax for ax in figure.axes if ax.collections]
    assert [ax.get_title() for ax in panels] == ["layer 1", "layer 2"]
    for layer, ax in enumerate(panels):
        for head, lines in enumerate(ax.collections):
            weights, found = record.weights[1, 2 * layer + head, :2, :3], torch.zeros(2, 3)
            for ((left, o), (right, i)), alpha in zip(lines.get_segments(), lines.get_alpha(), strict=True):
                assert (left, right) == (0, 1)
                found[round(o), round(i)] = float(alpha)
            strength = weights / record.weights[1, :, :2, :3].max()
            torch.testing.assert_close(found, strength.where(strength > 0.05, 0.0))
        colours = [tuple(lines.get_colors()[0][:3]) for lines in ax.collections]
        assert len(set(colours)) == 2
        words = [(text.get_text(), text.get_position()) for text in ax.texts]
        assert [(name, y) for name, (x, y) in words if x < 0] == [("word0", 0), ("word1", 1)]
        assert [(name, y) for name, (x, y) in words if x > 1] == [("wort0", 0), ("wort1", 1), ("wort2", 2)]
    with pytest.raises(ValueError, match="lines are drawn between names, and this record is of an image"):
        plot(path(), lines=True)


@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (4, 60), (60, 60), (300, 20)])
def test_labels_are_inside_the_figure_and_do_not_touch(outputs, inputs):
    figure = alignment_matrix(alignment(outputs, inputs), 1, title="a title")
    renderer = draw(figure)
    assert max(figure.get_size_inches()) < 16
    for axis, along in ((figure.axes[0].xaxis, "x"), (figure.axes[0].yaxis, "y")):
        shown = [label for label in axis.get_ticklabels() if label.get_text()]
        assert len(shown) == (inputs if along == "x" else outputs) or outputs == 300
        assert all(label.get_fontsize() >= 4 for label in shown)
        extents = [label.get_window_extent(renderer) for label in shown]
        for box in extents:
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        starts = sorted((getattr(box, f"{along}0"), getattr(box, f"{along}1")) for box in extents)
        assert all(end <= start + 1 for (_, end), (start, _) in itertools.pairwise(starts))


def test_any_token_can_be_a_label():
    names = ["$x$ \\frac{", " ", "\n", "", "Ende</w>", "Donaudampfschifffahrtsgesellschaft"]
    figure = alignment_matrix(Attention(weights=torch.ones(1, 1, 1, 6) / 6, inputs=[names]), title="$\\frac{")
    draw(figure)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [
        "$x$␣\\frac{", "␣", "⏎", "", "Ende", "Donaudampfschifffah…",
    ]  # fmt: skip
    assert labels(figure.axes[0].yaxis) == ["1"]


def test_an_answer_without_words_is_an_empty_matrix():
    draw(alignment_matrix(Attention(weights=torch.zeros(1, 1, 0, 3), inputs=[["a", "b", "c"]])))


@pytest.mark.parametrize("channels", [1, 3])
def test_glimpse_path_shows_image_windows_and_centres(channels):
    record = path(channels)
    ax = glimpse_path(record).axes[0]
    (image,) = ax.images
    assert image.get_extent() == [0, 20, 10, 0] and image.get_interpolation() == "nearest"
    expected = record.images[0].permute(1, 2, 0).squeeze(-1)
    np.testing.assert_allclose(image.get_array(), expected.numpy())
    line, start, end = ax.lines
    assert line.get_xydata().tolist() == [[4, 3], [15, 8], [10, 2]]
    assert start.get_xydata().tolist() == [[4, 3]] and end.get_xydata().tolist() == [[10, 2]]
    assert start.get_markerfacecolor() == line.get_color() and to_rgba(end.get_markerfacecolor())[3] == 0
    drawn = {(*box.get_xy(), box.get_x() + box.get_width(), box.get_y() + box.get_height()) for box in ax.patches}
    assert drawn == {tuple(box) for box in record.boxes.flatten(0, 2).tolist()}
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # y goes down, as in boxes


@pytest.mark.parametrize("channels", [1, 3])
def test_glimpse_path_shows_what_was_seen_one_row_for_each_window(channels):
    record = path(channels)
    axes = np.array(glimpse_path(record).axes[1:]).reshape(2, 3)
    for (window, step), ax in np.ndenumerate(axes):
        seen = record.views[0, step].unflatten(0, (2, channels))[window].permute(1, 2, 0).squeeze(-1)
        np.testing.assert_allclose(ax.images[0].get_array(), seen.numpy())
    assert [ax.get_title() for ax in axes[0]] == ["1", "2", "3"]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["4 px", "8 px"]


def test_a_long_path_shows_at_most_16_views_with_the_first_and_the_last():
    boxes = torch.tensor([0.0, 0, 4, 4]).expand(1, 64, 1, 4)
    record = Attention(boxes=boxes, images=torch.rand(1, 1, 10, 20), views=torch.rand(1, 64, 1, 4, 4))
    titles = [ax.get_title() for ax in glimpse_path(record).axes[1:]]
    assert len(titles) == 16 and titles[0] == "1" and titles[-1] == "64"


def test_a_path_without_views_is_the_image_alone():
    record = Attention(boxes=path().boxes, images=path().images)
    assert len(glimpse_path(record).axes) == 1


def test_heat_maps_lie_over_the_cells_of_the_grid():
    weights = torch.zeros(1, 1, 2, 6)
    weights[0, 0, 0, 2] = weights[0, 0, 1, 3] = 1  # of 2 x 3 cells: top right, bottom left
    record = Attention(weights=weights, grid=(2, 3), images=torch.rand(1, 3, 20, 30), outputs=[["a", "bird"]])
    figure = heat_maps(record)
    axes = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in axes] == ["", "a", "bird"]
    assert np.asarray(axes[0].images[0].get_array()).shape == (20, 30, 3)
    for ax, rows, columns in ((axes[1], slice(0, 10), slice(20, 30)), (axes[2], slice(10, 20), slice(0, 10))):
        picture, heat = ax.images
        assert picture.get_extent() == heat.get_extent() == [0, 30, 20, 0]
        shown = np.asarray(heat.get_array())
        row, column = np.unravel_index(shown.argmax(), shown.shape)
        assert rows.start <= row < rows.stop and columns.start <= column < columns.stop
        assert shown[rows, columns].mean() > 0.8 and heat.get_clim() == (0, 1)


def test_heads_are_rows_of_heat_maps():
    record = Attention(weights=torch.ones(1, 3, 2, 4) / 4, grid=(2, 2), images=torch.rand(1, 1, 28, 28))
    axes = [ax for ax in heat_maps(record).axes if ax.images and len(ax.images) < 3]
    assert [ax.get_title() for ax in axes if ax.get_title()] == ["head 1", "1", "2", "head 2", "head 3"]


def test_plot_chooses_and_saves(tmp_path):
    grid = Attention(weights=torch.ones(1, 1, 2, 4) / 4, grid=(2, 2), images=torch.rand(1, 1, 100, 100))
    (tmp_path / "new").mkdir()
    for name, record in {"a.png": alignment(), "b.png": path(), "c.png": grid}.items():
        file = tmp_path / "new" / name
        figure = plot(record, file)
        width, height = Image.open(file).size
        assert (width, height) == pytest.approx(tuple(figure.get_size_inches() * figure.dpi), abs=1)
        assert np.asarray(Image.open(file).convert("L")).std() > 10
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.png", "b.png", "c.png"]
    plot(alignment(), tmp_path / "d.svg")
    assert "<svg" in (tmp_path / "d.svg").read_text()


def test_no_folder_is_made(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        plot(alignment(), tmp_path / "none" / "a.png")
    assert not list(tmp_path.iterdir())


def test_a_long_input_is_not_black():
    record = Attention(weights=torch.full((1, 1, 3, 200), 1 / 200))
    (image,) = alignment_matrix(record).axes[0].images
    assert image.to_rgba(image.get_array())[0, 0, 0] == 1


def test_what_looks_at_itself_is_named_so():
    record = Attention(weights=torch.eye(2)[None, None], inputs=[["a", "b"]], outputs=[["a", "b"]])
    figure = alignment_matrix(record)
    assert (figure.get_supxlabel(), figure.get_supylabel()) == ("what is looked at", "what looks")


def test_titles_of_heads_do_not_touch():
    record = Attention(weights=torch.rand(1, 24, 2, 2), layers=2)
    figure = alignment_matrix(record)
    renderer = draw(figure)
    boxes = [ax.xaxis.label.get_window_extent(renderer) for ax in figure.axes if ax.get_xlabel()]
    rows = {round(box.y0) for box in boxes}
    for row in rows:
        line = sorted((box for box in boxes if round(box.y0) == row), key=lambda box: box.x0)
        assert all(one.x1 < other.x0 for one, other in itertools.pairwise(line))


def test_hebrew_is_drawn_from_the_right():
    record = Attention(weights=torch.ones(1, 1, 1, 2) / 2, inputs=[["שלום", "haus"]])
    assert labels(alignment_matrix(record).axes[0].xaxis) == ["שלום"[::-1], "haus"]


def test_paths_on_images_of_one_size_are_of_one_scale_and_say_where_they_start_and_end():
    def limits(centre: float) -> tuple:
        half = torch.tensor([-4.0, -4, 4, 4])
        boxes = torch.stack([half + torch.tensor([centre, 14.0] * 2), half + 14])[None, :, None]
        ax = glimpse_path(Attention(boxes=boxes, images=torch.rand(1, 1, 28, 28))).axes[0]
        assert [text.get_text() for text in ax.texts] == ["start", "end"]
        return ax.get_xlim(), ax.get_ylim()

    assert limits(0.0) == limits(14.0) == limits(28.0)


def test_a_failed_save_leaves_the_old_file(tmp_path):
    file = tmp_path / "old.nonsense"
    file.write_text("old")
    with pytest.raises(ValueError, match="nonsense"):
        plot(alignment(), file)
    assert [p.name for p in tmp_path.iterdir()] == ["old.nonsense"] and file.read_text() == "old"


def test_what_cannot_be_drawn_is_one_sentence():
    with pytest.raises(ValueError, match="drawn over images"):
        plot(Attention(boxes=path().boxes))
    with pytest.raises(ValueError, match="2 channels"):
        plot(Attention(boxes=path().boxes, images=torch.rand(1, 2, 8, 8)))


def test_half_precision_with_gradients_can_be_drawn():
    weights = torch.full((1, 1, 2, 2), 0.5, dtype=torch.bfloat16, requires_grad=True)
    draw(plot(Attention(weights=weights)))
    draw(plot(Attention(weights=weights, grid=(1, 2), images=torch.rand(1, 1, 8, 8))))
