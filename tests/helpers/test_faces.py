"""Drawn faces: reproducible, identity apart from view, and what is asked for wrongly is refused by name."""

import pytest
import torch
from PIL import Image

from helpers import data, faces

MIDDLE = torch.full((1, len(faces.IDENTITY)), 0.5)  # the person in the middle of every range


def test_same_seed_same_faces_and_another_seed_others():
    one, again, other = (faces.faces(3, 2, 32, seed) for seed in (0, 0, 1))
    assert torch.equal(one.images, again.images) and not torch.equal(one.images, other.images)
    for kind in ("identities", "views"):
        assert torch.equal(getattr(one, kind), getattr(again, kind))
        assert not torch.equal(getattr(one, kind), getattr(other, kind))
    assert one.images.shape == (6, 3, 32, 32) and one.images.dtype == torch.uint8
    assert one.labels.tolist() == [0, 0, 1, 1, 2, 2] and len(one.classes) == 3


def test_the_seed_draws_the_noise_and_a_groups_changes_too():
    who, how = faces.people(1), faces.view()
    first, again, other = (faces.draw(who, how, 24, seed).float() for seed in (0, 0, 1))
    assert torch.equal(first, again) and 0 < (first - other).abs().mean() < 10
    painted = [faces.faces(1, 1, 24, seed, "make-up").identities for seed in (0, 1)]
    columns = [list(faces.IDENTITY).index(name) for name in faces.GROUPS["make-up"]]
    assert not torch.equal(painted[0][:, columns], painted[1][:, columns])


def test_a_person_keeps_the_identity_and_changes_the_view():
    drawn = faces.faces(2, 3, 24)
    assert torch.equal(drawn.identities[0], drawn.identities[2]) and not torch.equal(drawn.views[0], drawn.views[2])
    assert not torch.equal(drawn.identities[0], drawn.identities[3])


@pytest.mark.parametrize("size", [24, 48])
def test_every_number_of_identity_and_view_is_seen(size):
    """Each changes the picture by more than the noise, at one end of its range against the other."""
    for i, name in enumerate(faces.IDENTITY):
        ends = MIDDLE.repeat(2, 1)
        ends[:, i] = torch.tensor([0.0, 1.0])
        assert _change(ends, faces.view(), size) > 8, name
    for name, (low, high) in faces.VIEW.items():
        views = torch.cat(
            [faces.view(**{name.replace(" ", "_"): value}) for value in (low, 0.5 * (low + high) + 0.4 * (high - low))]
        )
        assert _change(MIDDLE, views, size) > 8, name


def canvas(**settings):
    return faces._Canvas(faces._scaled(faces.view(**settings), faces.VIEW), 48)


def test_the_head_moves_to_the_right_and_down_turns_rigidly_and_grows():
    plain, moved = canvas(), canvas(right=0.1, down=0.05)
    torch.testing.assert_close(moved.x, plain.x - 0.1)  # the head's middle, x = 0, lies further to the right
    torch.testing.assert_close(moved.y, plain.y - 0.05)
    turned = canvas(tilt=0.2)
    torch.testing.assert_close(turned.x**2 + turned.y**2, plain.x**2 + plain.y**2)
    assert turned.y[0, 24, 0] > plain.y[0, 24, 0] + 0.1  # clockwise: what was left goes up
    torch.testing.assert_close(canvas(scale=1.05).x, plain.x / 1.05)


def test_what_is_in_front_goes_where_the_head_turns():
    zero = torch.zeros(1, 1, 1)
    for at in (canvas(yaw=0.4, pitch=0.2).at(zero, zero, 0.7), canvas(yaw=0.4, pitch=0.2).at(zero, zero, 0.1)):
        assert at[0] > 0 and at[1] > 0
    assert canvas(yaw=-0.4).at(zero, zero, 0.7)[0] < 0


def test_colours_lie_between_those_of_the_palette():
    palette = ((0.0, 0.5, 1.0), (1.0, 0.5, 0.0), (1.0, 1.0, 1.0))
    found = faces._colour(palette, torch.tensor([0.0, 0.125, 0.5, 1.0])[:, None, None])[:, :, 0, 0]
    torch.testing.assert_close(found, torch.tensor([[0, 0.5, 1], [0.25, 0.5, 0.75], [1, 0.5, 0], [1, 1, 1]]))


def test_warm_light_is_red_and_too_much_light_is_white():
    warm, cold = (faces.draw(MIDDLE, faces.view(warmth=w)).float().mean((0, 2, 3)) for w in (0.12, -0.12))
    assert warm[0] > cold[0] + 10 and warm[2] < cold[2] - 10
    bright = faces.draw(MIDDLE, faces.view(brightness=1.1, light_strength=0.45, light_from=0.0, ground=1))
    assert bright[0, :, :5, -5:].min() > 240


def test_a_smile_lifts_the_corners_of_the_mouth():
    smile, frown = (faces.draw(MIDDLE, faces.view(smile=s), 96).float().mean(1)[0] for s in (1, -1))
    rows = torch.arange(96.0)
    darker = (frown - smile).clamp(min=0), (smile - frown).clamp(min=0)  # the smile's lips, the frown's lips
    middle = [(d[:, 46:50].sum(1)[50:80] * rows[50:80]).sum() / d[50:80, 46:50].sum() for d in darker]
    assert middle[0] > middle[1] + 1


def test_each_person_is_drawn_in_the_view_of_the_same_row():
    who, how = faces.people(3), faces.random_views(3)
    together = faces.draw(who, how, 24).float()
    for i in range(3):
        alone = faces.draw(who[i : i + 1], how[i : i + 1], 24).float()
        assert (together[i] - alone[0]).abs().mean() < 10  # noise alone


def _change(identities, views, size):
    """The largest difference of any value, each picture being the mean of four, whose noise differs."""
    means = [
        torch.stack([faces.draw(i, v, size, seed).float() for seed in range(4)]).mean(0)
        for i, v in ((identities[:1], views[:1]), (identities[-1:], views[-1:]))
    ]
    return (means[0] - means[1]).abs().max()


def test_one_row_serves_for_all_and_the_number_of_rows_does_not_matter():
    who, how = faces.people(3), faces.random_views(3)
    assert torch.equal(faces.draw(who, how[:1], 24), faces.draw(who, how[:1].expand(3, -1), 24))
    many = faces.draw(who[:1].expand(faces.CHUNK + 5, -1), how[:1], 24)
    assert len(many) == faces.CHUNK + 5
    assert (many[0].float() - many[-1].float()).abs().mean() < 10  # noise alone


@pytest.mark.parametrize("group", list(faces.GROUPS))
def test_people_of_a_group_change_what_it_changes_and_nothing_else(group):
    plain, drawn = (faces.faces(3, 4, 24, seed=1, group=g) for g in (None, group))
    changes = torch.tensor([name in faces.GROUPS[group] for name in faces.IDENTITY])
    assert torch.equal(plain.identities[:, ~changes], drawn.identities[:, ~changes])
    first, second = drawn.identities[0], drawn.identities[1]  # one person
    assert torch.equal(first[~changes], second[~changes]) and (first[changes] != second[changes]).all()
    assert not set(faces.GROUPS["hair"]) & set(faces.GROUPS["make-up"])


def test_split_people_shares_nobody_and_loses_nobody():
    drawn = faces.faces(7, 3, 24)
    one, two = faces.split_people(drawn, 4, seed=3)
    assert len(one.classes) == 4 and len(two.classes) == 3
    assert sorted(one.classes + two.classes) == sorted(drawn.classes)
    for part in (one, two):
        assert part.labels.bincount().tolist() == [3] * len(part.classes)
        for k, name in enumerate(part.classes):
            first = drawn.classes.index(name) * 3
            assert torch.equal(part.images[part.labels == k], drawn.images[first : first + 3])


def test_people_are_split_by_the_seed():
    drawn = faces.faces(12, 1, 24)
    halves = [faces.split_people(drawn, 6, seed)[0].classes for seed in (0, 0, 1)]
    assert halves[0] == halves[1] != halves[2] and drawn.classes[:6] not in halves


def test_changed_leaves_what_it_is_given():
    who = faces.people(2)
    before = who.clone()
    faces.changed(who, "hair")
    assert torch.equal(who, before)


def test_the_same_steps_take_a_folder_of_pictures(tmp_path):
    drawn = faces.faces(4, 2, 32)
    for i, (image, label) in enumerate(zip(drawn.images, drawn.labels)):
        folder = tmp_path / drawn.classes[label]
        folder.mkdir(exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{i}.png")
    read = data.image_folder(tmp_path, size=32)
    assert torch.equal(read.images, drawn.images)
    assert [len(part) for part in faces.split_people(read, 3)] == [6, 2]


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: faces.people(0), "n must be a whole number of at least 1, got 0"),
        (lambda: faces.faces(3, group="beard"), "make-up"),
        (lambda: faces.faces(2, 0), "each must be a whole number of at least 1, got 0"),
        (lambda: faces.faces(2, 2, size=16), "size must be a whole number of at least 24, got 16"),
        (lambda: faces.view(smiles=1), "smile"),
        (lambda: faces.view(yaw=2), "yaw"),
        (
            lambda: faces.draw(torch.rand(2, 3), faces.view()),
            r"identities must be \(N, 22\) with at least one row, got \(2, 3\)",
        ),
        (lambda: faces.draw(torch.rand(22), faces.view()), r"identities must be .* got \(22,\)"),
        (lambda: faces.draw(MIDDLE, faces.view()[:0]), r"views must be .* at least one row, got \(0, 18\)"),
        (lambda: faces.draw(MIDDLE.tolist(), faces.view()), "identities must be a torch tensor, got list"),
        (lambda: faces.draw(faces.people(3), faces.random_views(2)), "as many views as identities .* got 2 and 3"),
        (lambda: faces.draw(MIDDLE, faces.view(), 24.5), "size must be a whole number of at least 24, got 24.5"),
        (lambda: faces.changed(torch.rand(2, 3), "hair"), r"identities must be .* got \(2, 3\)"),
        (lambda: faces.view(yaw="left"), "yaw='left': views have yaw"),
        (lambda: faces.view(yaw=None), "yaw=None: views have yaw"),
        (lambda: faces.faces(2, 2, size=None), "size must be a whole number of at least 24, got None"),
        (lambda: faces.split_people(faces.faces(3, 1, 24), 3), "between 1 and 2"),
        (lambda: faces.split_people(faces.faces(3, 1, 24), 0), "between 1 and 2, got 0"),
        (lambda: faces.split_people(faces.faces(3, 1, 24), 1.5), "first must be a whole number .* got 1.5"),
        (lambda: faces.split_people(faces.faces(3, 1, 24), None), "first must be a whole number .* got None"),
        (lambda: faces.split_people([1, 2, 3], 1), "pictures must be an ImageSet .* got list"),
    ],
)
def test_what_is_wrong_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("number", [2.5, True, -1, 0, None, "3"])
def test_numbers_of_people_pictures_and_views_are_whole(number):
    calls = {
        "n": (faces.people, faces.random_views),
        "n_people": (faces.faces,),
        "each": (lambda k: faces.faces(1, k),),
    }
    for name, functions in calls.items():
        for function in functions:
            with pytest.raises(ValueError, match=f"^{name} must be a whole number of at least 1, got {number!r}"):
                function(number)
