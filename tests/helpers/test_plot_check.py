"""Figures show what they are given; checkers of the exercises judge it."""

import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from helpers import plot
from helpers.check import array_hint, checker, number_hint
from helpers.train import History


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def shown(figure):
    return [ax.images[0] for ax in figure.axes if ax.images]


def test_images_take_every_layout():
    rng = np.random.default_rng(0)
    pictures = [rng.random((8, 9)), torch.rand(3, 8, 9), rng.random((8, 9, 3)), torch.rand(1, 8, 9)]
    figure = plot.images(pictures, ["a", "b", "c", "d"], columns=3, source="nowhere")
    assert [im.get_array().shape for im in shown(figure)] == [(8, 9), (8, 9, 3), (8, 9, 3), (8, 9)]
    assert [ax.get_title() for ax in figure.axes][:4] == ["a", "b", "c", "d"]
    assert "nowhere" in figure.get_supxlabel()
    np.testing.assert_allclose(shown(figure)[1].get_array(), pictures[1].permute(1, 2, 0))


def test_bytes_and_floats_may_stand_side_by_side():
    figure = plot.images([np.full((4, 4), 255, np.uint8), np.ones((4, 4))])
    assert [im.norm(im.get_array()).max() for im in shown(figure)] == [1, 1]


def test_signed_maps_share_one_centred_scale():
    figure = plot.images([np.array([[-1.0, 2.0]]), np.array([[0.5, -4.0]])], limits="signed")
    assert [im.get_clim() for im in shown(figure)] == [(-4, 4), (-4, 4)]
    assert shown(figure)[0].get_cmap().name == "RdBu_r"
    assert [im.get_clim() for im in shown(plot.images([np.eye(3)], limits=0.5))] == [(-0.5, 0.5)]


def test_each_map_may_have_its_own_scale():
    figure = plot.images([np.array([[-1.0, 2.0]]), np.array([[0.5, -4.0]]), np.zeros((2, 2))], limits="each")
    assert [im.get_clim() for im in shown(figure)] == [(-2, 2), (-4, 4), (-1, 1)]
    assert all(im.get_cmap().name == "RdBu_r" for im in shown(figure))
    with pytest.raises(ValueError, match="limits must be 'full', 'own', 'signed', 'each' or a number, got 'every'"):
        plot.images([np.eye(3)], limits="every")


def layers(figure):
    """The grey picture and the map of each overlay."""
    return [ax.images for ax in figure.axes if len(ax.images) == 2]


def test_overlays_lie_on_their_pictures():
    pictures, maps = torch.rand(2, 3, 12, 8), torch.tensor([[[-1.0, 0.0], [0.5, 0.25]], [[4.0, 0.0], [0.0, 0.0]]])
    figure = plot.overlay(pictures, maps, ["a", "b"], source="nowhere")
    assert [ax.get_title() for ax in figure.axes][:2] == ["a", "b"] and "nowhere" in figure.get_supxlabel()
    for (below, above), picture, values in zip(layers(figure), pictures, maps):
        grey = torch.einsum("chw,c->hw", picture, torch.tensor([0.299, 0.587, 0.114]))
        np.testing.assert_allclose(below.get_array(), 0.3 + 0.7 * grey, atol=1e-6)
        np.testing.assert_array_equal(above.get_array(), values)
        assert above.get_extent() == below.get_extent() == [-0.5, 7.5, 11.5, -0.5], "corners on the picture's corners"
        assert above.get_clim() == (-4, 4) and above.get_cmap().name == "RdBu_r"
        alpha = np.asarray(above.get_alpha())
        assert (alpha[values == 0] == 0).all() and np.ptp(alpha) > 0 and alpha.max() <= 1, "clear at 0"
        assert alpha.argmax() == values.abs().argmax(), "and strongest where the map is"
    assert len(figure.axes) == 3, "and a bar with the scale"


def test_overlays_each_on_their_own_scale_or_a_given_one():
    pictures, maps = [np.full((4, 4), 255, np.uint8)] * 2, [np.eye(2), -3 * np.eye(2)]
    figure = plot.overlay(pictures, maps, limits="each", smooth=False)
    assert [above.get_clim() for _, above in layers(figure)] == [(-1, 1), (-3, 3)] and len(figure.axes) == 2
    assert [below.get_array().max() for below, _ in layers(figure)] == [1, 1], "white bytes stay white"
    assert [above.get_interpolation() for _, above in layers(figure)] == ["nearest"] * 2
    figure = plot.overlay(pictures, maps, limits=2.0)
    assert [above.get_clim() for _, above in layers(figure)] == [(-2, 2)] * 2
    assert [above.get_interpolation() for _, above in layers(figure)] == ["bilinear"] * 2
    assert np.asarray(layers(figure)[1][1].get_alpha()).max() <= 1, "beyond the limit it is no stronger"
    assert len(layers(plot.overlay(pictures * 3, maps * 3, columns=4))) == 6
    plot.overlay(pictures[:1], [np.zeros((2, 2))]).canvas.draw()


def test_overlays_name_what_is_wrong():
    with pytest.raises(ValueError, match="2 pictures, 1 maps and 1 titles should be as many"):
        plot.overlay([np.eye(3)] * 2, [np.eye(3)])
    with pytest.raises(ValueError, match="1 pictures, 1 maps and 2 titles"):
        plot.overlay([np.eye(3)], [np.eye(3)], ["a", "b"])
    with pytest.raises(ValueError, match="0 pictures"):
        plot.overlay([], [])


def test_images_name_what_is_wrong():
    with pytest.raises(ValueError, match="2 pictures but 1 titles"):
        plot.images([np.eye(3)] * 2, ["one"])
    with pytest.raises(ValueError, match=r"got shape \(2, 4, 4\)"):
        plot.images([np.zeros((2, 4, 4))])
    with pytest.raises(ValueError, match="limits must be"):
        plot.images([np.eye(3)], limits="jet")


def test_grids_write_each_number_in_its_cell():
    figure = plot.grids([np.array([[1, -2], [3, 4]]), np.array([[0.5]])], ["x", "w"], marks=[(0, 1, 0, 1, 2)])
    cells = {t.get_position(): t.get_text() for t in figure.axes[0].texts}
    assert cells == {(0, 0): "1", (1, 0): "-2", (0, 1): "3", (1, 1): "4"}
    assert figure.axes[1].texts[0].get_text() == "0.50"
    (frame,) = figure.axes[0].patches
    assert frame.get_xy() == (-0.5, 0.5) and (frame.get_width(), frame.get_height()) == (2, 1)


def test_curves_draw_both_sets():
    history = History([1.0, 0.5], [0.4, 0.8], [1.1, 0.9], [0.3, 0.6], [1.0, 1.0])
    lines = {line.get_label(): line.get_ydata() for line in plot.curves({"net": history}).axes[0].lines}
    assert list(lines["net, train"]) == [0.4, 0.8] and list(lines["net, test"]) == [0.3, 0.6]
    assert "nats" in plot.curves(history, "loss").axes[0].get_ylabel()


def test_confusion_colours_by_row():
    figure = plot.confusion(torch.tensor([[3, 1], [0, 0]]), ["a", "b"], "here")
    assert shown(figure)[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]
    assert [t.get_text() for t in figure.axes[0].texts] == ["3", "1", "0", "0"]


def test_numbers_can_be_read_on_their_cells():
    figure = plot.confusion(np.array([[0, 100], [1, 1]]), ["a", "b"])
    assert [t.get_color() for t in figure.axes[0].texts] == ["black", "white", "black", "black"]


def test_tables_set_texts_left_and_numbers_right():
    page = plot.table(["stage", "map", "field"], [("conv1", "112x112", 7), ("maxpool", "56x56", 11)]).data
    assert page.count("<tr>") == 3 and page.count("</th>") == 3 and page.count("</td>") == 6
    assert "<td style='text-align: left'>maxpool</td>" in page
    assert "<td style='text-align: right'>56x56</td><td style='text-align: right'>11</td>" in page
    assert "left'>stage</th>" in page and "right'>field</th>" in page
    assert "left'>a</th>" in plot.table(["a"], []).data
    with pytest.raises(ValueError, match="must have 2 entries"):
        plot.table(["a", "b"], [(1, 2), (3,)])


@checker
def three(answer):
    """Exercise 0.0.
    That is
    the number.
    """
    return number_hint(answer, 3, {2: "You left out the last one."})


@pytest.mark.parametrize(
    "answer, right, words",
    [
        (3, True, "✓ Right. That is the number."),
        (2, False, "✗ Not yet. You left out the last one."),
        (5, False, "5 is too large"),
        (torch.tensor(1), False, "1 is too small"),
        (..., None, "No answer yet"),
        ("three", False, "could not be checked (ValueError"),
        (None, None, "No answer yet"),
    ],
)
def test_checkers(answer, right, words):
    verdict = three(answer)
    assert verdict.right is right and words in repr(verdict)


NAN = float("nan")


@pytest.mark.parametrize(
    "answer",
    [NAN, [1, NAN], (1, [2, NAN]), {"a": NAN}, np.array([NAN]), np.float32(NAN), torch.tensor([[1, NAN]])],
)
def test_nan_is_no_answer(answer):
    verdict = checker(lambda given: None)(answer)
    assert verdict.right is False and "nan" in verdict.message


@pytest.mark.parametrize("answer", [[1, "nan"], np.arange(3), torch.arange(3), {"a": None}, len])
def test_other_answers_are_judged(answer):
    assert checker(lambda given: None)(answer).right


def test_array_hint():
    expected = np.arange(6.0).reshape(2, 3)
    assert array_hint(expected.tolist(), expected) is None
    assert array_hint(torch.from_numpy(expected), expected) is None
    assert "(3, 2); it should be (2, 3)" in array_hint(expected.T, expected)
    assert array_hint(-expected, expected, [(-expected, "The sign.")]) == "The sign."
    assert "1 of 6 numbers differ; the first one is at index (1, 0)" in array_hint([[0, 1, 2], [9, 4, 5]], expected)
    assert "6 of 6" in array_hint(np.full((2, 3), np.nan), expected)


def test_figures_show_once():
    plot.images([np.eye(3)])
    plot.grids([np.eye(3)])
    assert plt.get_fignums() == []


def test_own_limits_stretch_grey_and_colour():
    grey, colour = (
        np.array([[2.0, 4.0]]),
        np.stack([np.full((2, 2, 3), -1.0), np.full((2, 2, 3), 3.0)]).reshape(4, 2, 3),
    )
    figure = plot.images([grey, colour], limits="own")
    assert [im.norm(im.get_array()).max() for im in shown(figure)][0] == 1
    assert shown(figure)[0].get_clim() == (2, 4)
    assert (shown(figure)[1].get_array().min(), shown(figure)[1].get_array().max()) == (0, 1)
    with pytest.raises(ValueError, match="one number a pixel"):
        plot.images([colour], limits="signed")


def test_curves_start_at_epoch_one():
    history = History([1.0, 0.5], [0.4, 0.8], [1.1, 0.9], [0.3, 0.6], [1.0, 1.0])
    assert list(plot.curves(history).axes[0].lines[0].get_xdata()) == [1, 2]


def test_number_hint_is_strict():
    assert number_hint(2.9, 3) == "2.9 is too small." and number_hint(3.0000000001, 3) is None


def test_overlays_of_wide_pictures_leave_no_empty_rows():
    wide, square = (plot.overlay([np.zeros((10, n))] * 2, [np.eye(2)] * 2, columns=1, size=2) for n in (20, 10))
    assert wide.get_size_inches().tolist() == [2, 2.6]
    assert square.get_size_inches().tolist() == [2, 4.6]
