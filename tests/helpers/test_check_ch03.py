"""The checkers of Chapter 3 accept the right answer and name the slip in wrong ones."""

import numpy as np
import pytest
from torch import nn

from helpers.check import ch03
from helpers.models import LeNet

STEM = [(11, 4, -2), (19, 8, -2), (51, 8, -18), (67, 16, -18)]
NO_HOLES = [(1, 2, 3), (1, 3, 9)]


def stem(**columns):
    """The right answer of Exercise 3.1 with some columns replaced."""
    right = dict(zip(("size", "jump", "start"), zip(*STEM)))
    return list(zip(*(right | columns).values()))


RIGHT = [
    (ch03.stem, [STEM]),
    (ch03.stem, [np.array(STEM)]),
    (ch03.lenet, [[(5, 1), (6, 2), (14, 2), (16, 4)]]),
    (ch03.corner, [(70, 223)]),
    (ch03.corner, [[70, 223]]),
    (ch03.corner, [range(70, 224)]),
    (ch03.dilated, [9, 500]),
    (ch03.holes, [NO_HOLES]),
    (ch03.holes, [NO_HOLES[::-1]]),
    (ch03.holes, [{(3, 1, 9), (1, 2, 3)}]),
    (ch03.holes, [np.array(NO_HOLES)]),
    (ch03.non_square, [(11, 15)]),
]
WRONG = [
    (ch03.stem, [stem(size=[11, 13, 17, 19])], "times the jump below it"),
    (ch03.stem, [stem(size=[11, 13, 17, 19], start=[-2, -2, -4, -4])], "times the jump below it"),
    (ch03.stem, [stem(size=[41, 57, 89, 121])], "not the new one"),
    (ch03.stem, [stem(size=[41, 57, 89, 121], start=[-8, -8, -24, -24])], "not the new one"),
    (ch03.stem, [stem(size=[11, 23, 63, 87])], "not F times"),
    (ch03.stem, [stem(size=[11, 11, 43, 43])], "window as well"),
    (ch03.stem, [stem(start=[2, 2, 18, 18])], "minus"),
    (ch03.stem, [stem(start=[0, 0, 0, 0])], "padding moves the start"),
    (ch03.stem, [stem(start=[-2, -2, -4, -4])], "multiply it by the jump"),
    (ch03.stem, [stem(start=[-8, -8, -24, -24])], "not by the new one"),
    (ch03.stem, [stem(jump=[4, 4, 4, 4], size=[11, 19, 35, 43])], "pooling has a stride"),
    (ch03.stem, [stem(jump=[4, 2, 1, 2])], "product of all strides"),
    (ch03.stem, [stem(size=[11, 19, 51, 66])], "size after layer 4 of 4 is not 66"),
    (ch03.stem, [[STEM[0], STEM[2]]], "poolings included"),
    (ch03.lenet, [[(5, 1), (6, 2), (10, 2), (11, 4)]], "2 pixels from the next"),
    (ch03.lenet, [[(5, 1), (5, 2), (13, 2), (13, 4)]], "window as well"),
    (ch03.lenet, [[(5, 1), (7, 2), (15, 2), (19, 4)]], "not its own"),
    (ch03.lenet, [[(5, 1), (6, 2), (14, 2), (17, 4)]], "is not 17"),
    (ch03.lenet, [[(1, 5), (2, 6), (2, 14), (4, 16)]], "Size first"),
    (ch03.lenet, [[(5, 1), (6, 2), (14, 1), (16, 2)]], "strides multiply"),
    (ch03.corner, [(70, 281)], "ends at pixel 223"),
    (ch03.corner, [(160, 223)], "Padding shifts"),
    (ch03.corner, [(38, 223)], "counted from 0"),
    (ch03.corner, [(38, 249)], "ends at pixel 223"),
    (ch03.corner, [(71, 224)], "counted from 0"),
    (ch03.corner, [(70, 154)], "how many"),
    (ch03.corner, [range(70, 282)], "ends at pixel 223"),
    (ch03.dilated, [500, 9], "other way round"),
    (ch03.dilated, [10, 500], "needed"),
    (ch03.dilated, [8, 500], "up to 128"),
    (ch03.dilated, [7, 500], "With dilation: 7 is too small"),
    (ch03.dilated, [9, 499], "999 pixels"),
    (ch03.dilated, [9, 334], "adds 2 pixels"),
    (ch03.dilated, [9, 999], "adds 2 pixels"),
    (ch03.holes, [[(1, 2, 3)]], "(1, 3, 9) has none"),
    (ch03.holes, [(1, 2, 3)], "(1, 3, 9) has none"),
    (ch03.holes, [[*NO_HOLES, (2, 3, 4)]], "no common factor"),
    (ch03.holes, [[*NO_HOLES, (1, 2, 8)]], "begins at"),
    (ch03.holes, [[*NO_HOLES, (3, 3, 3)]], "multiples of 3"),
    (ch03.holes, [[]], "(1, 2, 3) has none"),
    (ch03.holes, [[(1, 1, 1)]], "not among"),
    (ch03.non_square, [(15, 11)], "Height first"),
    (ch03.non_square, [(9, 11)], "strides"),
    (ch03.non_square, [(15, 21)], "own stride"),
    (ch03.non_square, ["eleven"], "could not be checked"),
]


@pytest.mark.parametrize(("check", "answers"), RIGHT)
def test_right_answers_are_praised(check, answers):
    verdict = check(*answers)
    assert verdict.right and verdict.message


@pytest.mark.parametrize(("check", "answers", "hint"), WRONG)
def test_wrong_answers_get_the_hint_that_fits(check, answers, hint):
    verdict = check(*answers)
    assert verdict.right is False and hint in verdict.message


@pytest.mark.parametrize("check", [ch03.stem, ch03.lenet, ch03.corner, ch03.holes, ch03.non_square, ch03.design])
def test_no_answer_yet(check):
    assert check(...).right is None


def conv(before, after, dilation=1, stride=1):
    return nn.Conv2d(before, after, 3, stride, padding=dilation, dilation=dilation)


wide = [nn.Conv2d(3, 4, 7, padding=3), nn.Conv2d(4, 4, 7, padding=3), conv(4, 4), conv(4, 4)]


def test_design_accepts_what_meets_the_demands():
    strided = [conv(3, 16, stride=2), conv(16, 16, stride=2), conv(16, 16), conv(16, 16, 2)]
    assert ch03.design(nn.Sequential(*strided, conv(16, 16, 4), conv(16, 16))).right
    pooled = [conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), conv(8, 8, stride=2), nn.ReLU()]
    pooled += [conv(8, 8), conv(8, 8, 2), conv(8, 8, 4), conv(8, 8)]
    assert ch03.design(nn.Sequential(nn.Sequential(*pooled))).right
    dilated = [conv(3, 8, stride=2), conv(8, 8), nn.MaxPool2d(3, 1, 1, dilation=2)]
    assert ch03.design(nn.Sequential(*dilated, conv(8, 8, 2), conv(8, 8, 4), conv(8, 8, 8))).right


@pytest.mark.parametrize(
    ("network", "hint"),
    [
        (nn.Sequential(nn.Conv2d(3, 16, 65, padding=32)), "side 65"),
        (nn.AvgPool2d(65, 1, 32), "side 65"),
        (nn.Sequential(conv(3, 64), conv(64, 64)), "budget"),
        (conv(3, 8), "field is 3x3"),
        (nn.Sequential(conv(3, 8, 16), nn.Upsample(scale_factor=2)), "not known"),
        (nn.Sequential(conv(3, 8), nn.ConvTranspose2d(8, 8, 2, 2)), "not known"),
        (nn.Sequential(*wide, *[nn.MaxPool2d(2, 1, 1, dilation=24)] * 2), "lie in holes"),
        (nn.Sequential(*[conv(3 if i == 0 else 2, 2, 2**i) for i in range(10)]), "stay below"),
        (nn.Sequential(conv(3, 8, 2), conv(8, 8, 4)), "field is 13x13"),
        (nn.Sequential(*[conv(3 if i == 0 else 8, 8, stride=2) for i in range(6)]), "smaller than 16x16"),
        (LeNet(size=64), "sees everything"),
        (nn.Sequential(conv(3, 8), nn.AdaptiveAvgPool2d(16)), "sees everything"),
        (nn.Sequential(conv(3, 8, stride=2), nn.ReLU(), nn.MaxPool2d(2), conv(8, 8, 8)), "lie in holes"),
        (nn.Sequential(conv(4, 8)), "could not be checked"),
        ("a network", "The answer is a network"),
    ],
)
def test_design_names_what_is_missing(network, hint):
    verdict = ch03.design(network)
    assert verdict.right is False and hint in verdict.message
