"""Turning and tilting against NumPy, and by what must stay."""

import pytest
import torch

from helpers.warp import disc, tilt, turn

PICTURES = torch.rand(3, 2, 16, 24, generator=torch.Generator().manual_seed(0))
SQUARE = torch.rand(2, 3, 15, 15, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("quarters", [0, 1, 2, 3, -1])
def test_quarter_turns_are_counter_clockwise(quarters):
    inside = disc(15, 15)
    expected = SQUARE.rot90(quarters, (2, 3))
    assert torch.allclose(turn(SQUARE, 90 * quarters)[..., inside], expected[..., inside], atol=1e-5)


@pytest.mark.parametrize("degrees", [0, 30])
def test_outside_the_circle_all_is_grey(degrees):
    outside = ~disc(16, 24)
    assert (turn(PICTURES, degrees)[..., outside] == 0.5).all()


def test_a_small_turn_moves_points_as_a_rotation_does_on_a_picture_that_is_not_square():
    rows, columns = torch.meshgrid(torch.arange(16.0) - 7.5, torch.arange(24.0) - 11.5, indexing="ij")
    plane = 0.5 + 0.01 * rows + 0.02 * columns  # linear, so interpolation is exact
    angle = torch.tensor(30.0).deg2rad()
    row, column = angle.sin() * columns + angle.cos() * rows, angle.cos() * columns - angle.sin() * rows
    inside = rows**2 + columns**2 < 7**2
    found = turn(plane[None, None], 30.0)[0, 0]
    assert torch.allclose(found[inside], (0.5 + 0.01 * row + 0.02 * column)[inside], atol=1e-5)


def test_each_picture_has_its_own_angle():
    angles = torch.tensor([0.0, 40.0, -75.0])
    for i, angle in enumerate(angles):
        assert torch.allclose(turn(PICTURES, angles)[i], turn(PICTURES[i : i + 1], angle)[0], atol=1e-6)
        assert torch.allclose(tilt(PICTURES, angles)[i], tilt(PICTURES[i : i + 1], angle)[0], atol=1e-6)


def test_a_tilt_by_60_degrees_halves_the_width_about_the_middle():
    white = torch.ones(1, 1, 8, 32)
    row = tilt(white, 60)[0, 0, 4]
    assert torch.allclose(row[8:24], torch.ones(16), atol=1e-4)
    assert torch.allclose(row[[0, 6, 25, 31]], torch.full((4,), 0.5))


def test_a_tilt_by_0_changes_nothing_and_both_sides_are_alike():
    assert torch.allclose(tilt(PICTURES, 0), PICTURES, atol=1e-5)
    assert torch.allclose(tilt(PICTURES, 35), tilt(PICTURES, -35))


def test_mirrored_margins_continue_the_narrowed_picture():
    found, grey = tilt(PICTURES, 60, margins="mirror"), tilt(PICTURES, 60)
    assert torch.allclose(found[..., 7:17], grey[..., 7:17], atol=1e-5)  # the narrowed picture: columns 6 to 17
    assert torch.allclose(found[..., :6], found[..., 6:12].flip(3), atol=1e-5)
    assert torch.allclose(found[..., 18:], found[..., 12:18].flip(3), atol=1e-5)
    with pytest.raises(ValueError, match="'grey' or 'mirror', got 'black'"):
        tilt(PICTURES, 60, margins="black")


def test_a_tilt_leaves_the_rows_where_they_are():
    rows = (0.5 + 0.01 * torch.arange(16.0)[:, None]).expand(1, 1, 16, 24)
    assert torch.allclose(tilt(rows, 60)[..., 8:16], rows[..., 8:16], atol=1e-5)


@pytest.mark.parametrize("degrees", [90, 120, -100, 300, float("nan")])
def test_no_tilt_by_90_degrees_or_more(degrees):
    with pytest.raises(ValueError, match="90"):
        tilt(PICTURES, degrees)


@pytest.mark.parametrize("change", [turn, tilt])
def test_refuses_what_does_not_fit(change):
    with pytest.raises(ValueError, match=r"a batch \(N, C, H, W\), got shape \(2, 16, 24\)"):
        change(PICTURES[0], 30)
    for x in (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(0, 3, 8, 8)):
        with pytest.raises(ValueError, match="x must hold floats from 0 to 1, of at least one picture"):
            change(x, 30)
    with pytest.raises(ValueError, match="one number or 3, one for each picture"):
        change(PICTURES, torch.tensor([10.0, 20.0]))


def test_the_circle_touches_the_sides():
    assert disc(4, 6).int().tolist() == [[0, 0, 1, 1, 0, 0], [0, 1, 1, 1, 1, 0], [0, 1, 1, 1, 1, 0], [0, 0, 1, 1, 0, 0]]
    assert disc(1, 1).all()
