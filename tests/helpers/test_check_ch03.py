"""The checkers of Chapter 3 accept the right answer and name the slip in wrong ones."""

import pytest
import torch
from torch import nn

from helpers.check import ch03
from helpers.models import LeNet

RIGHT = [
    (ch03.stem, [[(7, 2, -3), (11, 4, -5), (19, 4, -9), (27, 4, -13)]]),
    (ch03.lenet, [[(5, 1), (6, 2), (14, 2), (16, 4)]]),
    (ch03.corner, [(70, 223)]),
    (ch03.dilated, [63, 31]),
    (ch03.holes, [49]),
    (ch03.holes, [torch.tensor(49)]),
    (ch03.non_square, [(11, 15)]),
]
WRONG = [
    (ch03.stem, [[(7, 2, -3), (9, 4, -4), (11, 4, -5), (13, 4, -6)]], "jump below"),
    (ch03.stem, [[(13, 2, -6), (21, 4, -10), (29, 4, -14), (37, 4, -18)]], "not the new one"),
    (ch03.stem, [[(7, 2, 3), (11, 4, 5), (19, 4, 9), (27, 4, 13)]], "minus"),
    (ch03.stem, [[(7, 2, 0), (11, 4, 0), (19, 4, 0), (27, 4, 0)]], "padding moves the start"),
    (ch03.stem, [[(7, 2, -3), (11, 2, -5), (15, 2, -7), (19, 2, -9)]], "pooling has a stride"),
    (ch03.stem, [[(7, 2, -3)]], "shape"),
    (ch03.lenet, [[(5, 1), (6, 2), (10, 2), (11, 4)]], "2 pixels from the next"),
    (ch03.lenet, [[(5, 1), (5, 2), (13, 2), (13, 4)]], "window as well"),
    (ch03.lenet, [[(5, 1), (7, 2), (15, 2), (19, 4)]], "not its own"),
    (ch03.lenet, [[(5, 1), (6, 2), (14, 2), (17, 4)]], "differ"),
    (ch03.corner, [(70, 281)], "ends at pixel 223"),
    (ch03.corner, [(160, 223)], "Padding shifts"),
    (ch03.corner, [(38, 223)], "counted from 0"),
    (ch03.dilated, [62, 31], "one pixel"),
    (ch03.dilated, [63, 21], "adds 2 pixels"),
    (ch03.dilated, [31, 15], "fifth layer"),
    (ch03.holes, [169], "whole field"),
    (ch03.holes, [7], "two"),
    (ch03.holes, [27], "paths multiply"),
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


def test_design_accepts_what_meets_the_demands():
    strided = [conv(3, 16, stride=2), conv(16, 16, stride=2), conv(16, 16), conv(16, 16, 2)]
    assert ch03.design(nn.Sequential(*strided, conv(16, 16, 4), conv(16, 16))).right
    pooled = [conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), conv(8, 8, stride=2), nn.ReLU()]
    pooled += [conv(8, 8), conv(8, 8, 2), conv(8, 8, 4), conv(8, 8)]
    assert ch03.design(nn.Sequential(nn.Sequential(*pooled))).right


@pytest.mark.parametrize(
    ("network", "hint"),
    [
        (nn.Sequential(nn.Conv2d(3, 16, 65, padding=32)), "budget"),
        (nn.Sequential(conv(3, 8, 2), conv(8, 8, 4)), "field is 13x13"),
        (nn.Sequential(*[conv(3 if i == 0 else 8, 8, stride=2) for i in range(6)]), "smaller than 16x16"),
        (LeNet(size=64), "sees everything"),
        (nn.Sequential(conv(3, 8), nn.AdaptiveAvgPool2d(16)), "sees everything"),
        (nn.Sequential(conv(3, 8, stride=2), nn.ReLU(), nn.MaxPool2d(2), conv(8, 8, 8)), "jumps over"),
        (nn.Sequential(conv(4, 8)), "could not be checked"),
        ("a network", "The answer is a network"),
    ],
)
def test_design_names_what_is_missing(network, hint):
    verdict = ch03.design(network)
    assert verdict.right is False and hint in verdict.message
