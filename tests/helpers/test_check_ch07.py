"""Chapter 7's checkers: right answers pass, and each known slip gets the hint for it."""

import numpy as np
import torch
from checker_cases import checker_tests

from helpers import augment
from helpers.check import ch07 as check


def turns(choices=(0, 1, 2, 3), shared=False, odds=None):
    """Quarter turns, right or with one thing wrong."""

    def change(x, generator=None):
        weights = torch.tensor(odds or [1.0] * len(choices))
        drawn = torch.multinomial(weights, 1 if shared else len(x), True, generator=generator)
        picks = [choices[k] for k in (drawn.expand(len(x)) if shared else drawn)]
        return torch.stack([picture.rot90(k, (1, 2)) for picture, k in zip(x, picks)])

    return change


def transposed(x, generator=None):
    swap = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(swap[:, None, None, None], x.transpose(2, 3), x)


def along_channels(x, generator=None):
    k = torch.randint(1, 3, (len(x),), generator=generator)
    return torch.stack([picture.roll(int(by), 0) for picture, by in zip(x, k)])


def in_place(x, generator=None):
    flipped = torch.rand(len(x), generator=generator) < 0.5
    x[flipped] = x[flipped].flip(3)
    return x


def without_generator(x, generator=None):
    return augment.random_flip(x)


def fixed(x, generator=None):
    return augment.random_crop(x, torch.Generator().manual_seed(0))


def one_crop(x, generator=None):
    top, left = torch.randint(9, (2,), generator=generator).tolist()
    return torch.nn.functional.pad(x, [4] * 4)[:, :, top : top + 32, left : left + 32]


def brighter(x, generator=None):
    return x * (1 + torch.rand(len(x), 1, 1, 1, generator=generator))


def flips_or_not(x, generator=None):
    return x.flip(3) if torch.rand(1, generator=generator) < 0.5 else x


def second_draw(x, generator=None):
    return x.rot90(int(torch.randint(0, 4, (2,), generator=generator)[1]), (2, 3))


def five_folded(x, generator=None):
    return turns()(x, generator) if generator is None else turns(odds=[2.0, 1, 1, 1])(x, generator)


def one_after_the_other(x, generator=None):
    x = x.clone()
    for k in range(1, 4):
        m = torch.rand(len(x), generator=generator) < 0.25
        x[m] = x[m].rot90(k, (2, 3))
    return x


def wrong_axes(axes):
    def change(x, generator=None):
        k = torch.randint(4, (len(x),), generator=generator)
        x = x[:, :, :, :4].clone() if axes == (1, 2) else x
        return torch.stack([picture.rot90(int(turn), axes) for picture, turn in zip(x, k)])

    return change


def as_list(x, generator=None):
    return list(turns()(x, generator))


def mixed_pictures(x, generator=None):
    return augment.mixup(x, torch.zeros(len(x), dtype=torch.int64), 10, generator)[0]


def two_results(x, generator=None):
    return augment.mixup(x, torch.zeros(len(x), dtype=torch.int64), 10, generator)


def masked_turns(x, generator):
    which = torch.randint(4, (len(x),), generator=generator)
    return torch.cat([x[i : i + 1].rot90(int(k), (2, 3)) for i, k in enumerate(which)])


RIGHT = {
    "crop": [[0, 0, 0], [2, 1, 0], [5, 4, 0]],
    "versions": [50, 2, 0.133],
    "scaled": [-0.4, 0.4, 0.06, 0.04],
    "absorbed": [4, -2, 6, -3.5],
    "labels": ["changes", "keeps", "changes", "keeps", "changes", "changes"],
    "quarter_turns": turns(),
    "effects": [2.5, -1.5, 5, 3.5],
    "recipe": augment.flip_and_crop,
}

OTHER_FORMS = [
    ("crop", torch.tensor(RIGHT["crop"])),
    ("crop", np.array(RIGHT["crop"], float)),
    ("versions", (50, 2.0, 0.98**100)),
    ("versions", [50, 2, 0.13]),
    ("scaled", np.array([-0.4, 0.4, 0.06, 0.04])),
    ("absorbed", torch.tensor([4, -2, 6, -3.5])),
    ("absorbed", [[4, -2, 6], -3.5]),
    ("absorbed", (np.array([4, -2, 6]), -3.5)),
    ("quarter_turns", masked_turns),
    ("labels", ("Changes", " keeps", "changes", "KEEPS", "changes", "changes")),
    ("effects", np.array([2.5, -1.5, 5.0, 3.5])),
    ("recipe", augment.colour_jitter),
    ("recipe", lambda x, generator: augment.cutout(augment.flip_and_crop(x, generator), generator)),
    ("recipe", augment.random_flip),
]

WRONG = [
    ("crop", [[0, 0, 0], [2, 3, 0], [5, 6, 0]], "not mirrored"),
    ("crop", [[0, 0, 0], [0, 3, 2], [0, 6, 5]], "order matters"),
    ("crop", [[0, 6, 5], [0, 9, 8], [0, 0, 0]], "exchanged"),
    ("crop", [[0, 0, 0], [8, 9, 0], [5, 6, 0]], "top to bottom"),
    ("crop", [[1, 0, 0], [4, 0, 0], [7, 0, 0]], "padded"),
    ("crop", [[0, 0, 0], [3, 2, 1], [6, 5, 4]], "count from 0"),
    ("crop", [[0, 0], [2, 1]], "shape"),
    ("crop", [[0, 0, 0], [2, 1, 0], [5, 4, 1]], "index (2, 2)"),
    ("versions", [25, 4, 0.133], "mirrored and not"),
    ("versions", [32, 2, 0.1], "5 places"),
    ("versions", [18, 2, 0.1], "both sides"),
    ("versions", [27, 2, 0.1], "multiply"),
    ("versions", [10, 2, 0.1], "25 in the plane"),
    ("versions", [51, 2, 0.1], "51 versions"),
    ("versions", [50, 1, 0.1], "100 draws"),
    ("versions", [50, 2, 13.26], "percentage"),
    ("versions", [50, 2, 0.8674], "at least once"),
    ("versions", [50, 2, 0.5], "49/50"),
    ("versions", [50, 2, 13], "percentage"),
    ("versions", [50, 2, 0.1353], "multiply"),
    ("versions", [162, 0.6, 0.5], "padding 4"),
    ("versions", [50, 2], "3 numbers, not 2"),
    ("versions", 50, "list of 3"),
    ("scaled", [-0.2, 0.4, 0.06, 0.04], "divided by 0.5, too"),
    ("scaled", [-0.4, -0.6, 0.06, 0.04], "does not change their deviation"),
    ("scaled", [-0.4, 0.16, 0.06, 0.04], "variance"),
    ("scaled", [-0.4, 0.2, 0.06, 0.04], "divided by 0.5"),
    ("scaled", [-0.4, 0.8, 0.06, 0.04], "twice"),
    ("scaled", [-0.4, 0.06, 0.4, 0.04], "order"),
    ("scaled", [-0.4, 0.4, 0.06, 0.04, 0.3, 0.2], "4 numbers, not 6"),
    ("scaled", [-0.4, 0.4, 0.3, 0.04], "divided by 5"),
    ("scaled", [-0.4, 0.4, 0, 0.04], "Subtracting 0"),
    ("scaled", [-0.4, 0.4, 0.06, 5], "what you divide by"),
    ("scaled", [-0.4, 0.4, 0.06, 0.008], "twice"),
    ("scaled", [-0.4, 0.4, 0.06, 0.05], "index (3,)"),
    ("absorbed", [4, -2, 6, 0.5], "bias changes"),
    ("absorbed", [1, -0.5, 1.5, -3.5], "not multiplied"),
    ("absorbed", [1, -0.5, 1.5, -0.5], "not multiplied"),
    ("absorbed", [4, -2, 6, -3], "is not divided"),
    ("absorbed", [4, -2, 6, -0.5], "multiplied by its weight"),
    ("absorbed", [4, -2, 6, -7.5], "divided twice"),
    ("absorbed", [4, -2, 6, 4.5], "sign"),
    ("absorbed", [4, -2, 6, -1.5], "divided by the deviation"),
    ("absorbed", [4, -2, 6, -4], "lost the old bias"),
    ("absorbed", [2, -1, 3, 0.5], "old ones"),
    ("absorbed", [4, -2, 6, 1], "index (3,)"),
    ("absorbed", [4, -2, 6], "4 numbers, not 3"),
    ("labels", ["keeps", "keeps", "changes", "keeps", "changes", "changes"], "(a)"),
    ("labels", ["changes", "keeps", "changes", "changes", "changes", "changes"], "(d)"),
    ("labels", ["changes", "keeps", "changes", "keeps", "changes", "keeps"], "(f)"),
    ("labels", ["yes"] * 6, "six words"),
    ("labels", ["keeps"] * 5, "six words"),
    ("quarter_turns", turns(shared=True), "in the same way"),
    ("quarter_turns", second_draw, "in the same way"),
    ("quarter_turns", five_folded, "equally likely"),
    ("quarter_turns", one_after_the_other, "equally likely"),
    ("quarter_turns", wrong_axes((2, 3)), "one axis less"),
    ("quarter_turns", wrong_axes((1, 2)), "one axis less"),
    ("quarter_turns", as_list, "a tensor"),
    ("quarter_turns", lambda x, generator: x.clone(), "changes nothing"),
    ("quarter_turns", turns((0, 2)), "each should occur"),
    ("quarter_turns", turns(odds=[8.0, 1, 1, 1]), "equally likely"),
    ("quarter_turns", transposed, "mirrored"),
    ("quarter_turns", along_channels, "axes 2 and 3"),
    ("quarter_turns", in_place, "work on a copy"),
    ("quarter_turns", without_generator, "use the generator"),
    ("quarter_turns", fixed, "Another generator"),
    ("quarter_turns", lambda x, generator: None, "return missing"),
    ("quarter_turns", torch.zeros(3), "the function itself"),
    ("quarter_turns", lambda x, generator: x[:5], "shape"),
    ("quarter_turns", lambda x: x, "two arguments"),
    ("effects", [-2.5, 1.5, -5, -3.5], "signs"),
    ("effects", [0.025, -0.015, 0.05, 0.035], "points"),
    ("effects", [5, -3, 10, 7], "not the sum"),
    ("effects", [5, -1.5, 5, 3.5], "A alone"),
    ("effects", [2.5, 1, 5, 3.5], "B alone"),
    ("effects", [2.5, 1.5, 5, 3.5], "negative"),
    ("effects", [2.5, -1.5, 1, 3.5], "not with A"),
    ("effects", [2.5, -1.5, 2.5, 3.5], "another effect"),
    ("effects", [2.5, -1.5, 3.5, 3.5], "not with neither"),
    ("effects", [2.5, -1.5, 5, 1], "add up"),
    ("effects", [2.5, -1.5, 5, 5], "not with B"),
    ("effects", [2.5, -1.5, 5, 3], "index (3,)"),
    ("recipe", lambda x, generator: x, "changes nothing"),
    ("recipe", flips_or_not, "in the same way"),
    ("recipe", mixed_pictures, "depends on the others"),
    ("recipe", two_results, "no labels"),
    ("recipe", lambda x, generator: augment.random_crop(x, 4, generator), "second argument"),
    ("recipe", one_crop, "in the same way"),
    ("recipe", brighter, "leave [0, 1]"),
    ("recipe", in_place, "work on a copy"),
    ("recipe", lambda x, generator: augment.random_crop(x[:, :, 1:], generator), "shape"),
]


test_right_answers_pass, test_no_answer_yet, test_slips_get_their_hint = checker_tests(
    check, [*RIGHT.items(), *OTHER_FORMS], WRONG
)
