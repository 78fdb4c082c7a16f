"""Chapter 13's checkers: right answers pass, and each known slip gets the hint for it."""

import copy

import numpy as np
import torch
from checker_cases import checker_tests

from helpers import explain
from helpers.check import ch13 as check


def silent(model, x, layer):
    (a,) = explain.activations(model, x, layer).values()
    return (a.amax((0, 2, 3)) <= 0).nonzero()[:, 0].tolist()


def silent_in_training(model, x, layer):
    return with_hook(model, x, layer, eval_mode=False)


def with_hook(model, x, layer, leave=False, eval_mode=True, restore=True):
    """Silent channels by a hook of one's own, right or with one thing wrong."""
    kept, training = {}, model.training
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.update(a=o))
    if eval_mode:
        model.eval()
    with torch.no_grad():
        model(x)
    if not leave:
        handle.remove()
    if restore:
        model.train(training)
    return (kept["a"].amax((0, 2, 3)) <= 0).nonzero()[:, 0]


def reading(read):
    def answer(model, x, layer):
        (a,) = explain.activations(model, x, layer).values()
        return read(a)

    return answer


ROW = [[2, 2, 2, 8, 8, 8, 4, 4, 4], [2, 2, 4, 6, 8, 20 / 3, 16 / 3, 4, 4]]
RIGHT = {
    "shapes": [(64, 80, 144), (64, 40, 72), (256, 10, 18), (512, 5, 9)],
    "held": [[0, 0, 4], [3, 3, 0]],
    "component": [0.8, 2, 0.8],
    "resampled": ROW,
    "silent": silent,
    "pooled": [0.25, 0, -0.125, 0.25, 0, 0],
}

OTHER_FORMS = [
    ("shapes", torch.tensor(RIGHT["shapes"])),
    ("shapes", [torch.Size(shape) for shape in RIGHT["shapes"]]),
    ("held", torch.tensor(RIGHT["held"])),
    ("held", (np.array([0, 0, 4]), torch.tensor([3.0, 3, 0]))),
    ("component", (torch.tensor(0.8), -2.0, 4 / 5)),
    ("resampled", np.array(ROW)),
    ("resampled", [ROW[0], [2, 2, 4, 6, 8, 6.67, 5.33, 4, 4]]),
    ("silent", with_hook),
    ("silent", lambda model, x, layer: np.array(silent(model, x, layer))),
    ("pooled", torch.tensor(RIGHT["pooled"])),
    ("pooled", [[1 / 4, 0, -1 / 8], [1 / 4, 0, 0]]),
    ("pooled", torch.tensor(RIGHT["pooled"]).reshape(2, 3)),
]


def changed(name, **others):
    """The right answer with some of its entries replaced."""
    answer = list(RIGHT[name])
    for i, value in others.items():
        answer[int(i[1:])] = value
    return answer


WRONG = [
    ("shapes", [(c, w, h) for c, h, w in RIGHT["shapes"]], "exchanged"),
    ("shapes", [(h, w, c) for c, h, w in RIGHT["shapes"]], "channels come first"),
    ("shapes", changed("shapes", _1=(64, 80, 144)), "max pooling"),
    ("shapes", changed("shapes", _0=(64, 77, 141)), "padding 3"),
    ("shapes", changed("shapes", _2=(128, 10, 18)), "number of channels"),
    ("shapes", changed("shapes", _3=(512, 7, 7)), "stride 2"),
    ("shapes", [(80, 144)] * 4, "4 lists of 3"),
    ("shapes", 64, "4 lists of 3"),
    ("held", [[-2, 0, 4], [3, 3, 0]], "written over"),
    ("held", [[2, 4, 8], [3, 3, 0]], "bias is missing"),
    ("held", [[3, 3, -1], [3, 3, 0]], "memory of its own"),
    ("held", [[3, 3, 0], [3, 3, 0]], "not over the first's"),
    ("held", [[0, 0, 4], [0, 0, 4]], "called twice"),
    ("held", [[0, 0, 4], [3, 3, -1]], "still works on it"),
    ("held", [[0, 0, 4], [0, 0, 0]], "adds its bias"),
    ("held", [[0, 0, 4], [5, 3, 0]], "what the ReLU left"),
    ("held", [[0, 0, 4], [3, 3, 1]], "index (1, 2)"),
    ("held", [0, 0, 4, 3, 3, 0], "2 lists of 3"),
    ("component", [80, 2, 80], "between 0 and 1"),
    ("component", [2 / 3, 2, 0.8], "Square the coordinates"),
    ("component", [0.2, 2, 0.8], "second direction"),
    ("component", [72 / 74, 2, 0.8], "Subtract the mean"),
    ("component", [0.8, 6, 0.8], "counted from it"),
    ("component", [0.8, 8**0.5, 0.8], "all four coordinates"),
    ("component", [0.8, 4, 0.8], "lie apart"),
    ("component", [0.8, -4, 0.8], "before the change of units"),
    ("component", [0.8, 2, 0.2], "first direction"),
    ("component", [0.8, 2, 0.5], "16 times"),
    ("component", [0.8, 2, 0.9], "index (2,)"),
    ("component", [0.8, 2], "3 numbers, not 2"),
    ("resampled", ROW[::-1], "come first"),
    ("resampled", [[2, 8, 4] * 3, ROW[1]], "each number three times"),
    ("resampled", [ROW[0], np.interp(np.arange(9) / 4, range(3), [2, 8, 4])], "ends of the row"),
    ("resampled", [ROW[0], np.interp(np.arange(9) / 3, range(3), [2, 8, 4])], "not at i/z"),
    ("resampled", [ROW[0], [0, 2, 4, 6, 8, 20 / 3, 16 / 3, 4, 8 / 3]], "held"),
    ("resampled", [ROW[0], [2, 2, 4, 6, 8, 7, 5, 4, 4]], "index (5,)"),
    ("resampled", [ROW[0], [2, 2, 4, 6, 8, 6.7, 5.3, 4, 4]], "two decimals"),
    ("resampled", [ROW[0], [2, 2, 4, 6, 8, 6.6, 5.4, 4, 4]], "index (5,)"),
    ("resampled", ROW[1], "2 lists of 9"),
    ("silent", [0, 1, 2], "the function itself"),
    ("silent", lambda model, x, layer: None, "return missing"),
    ("silent", reading(lambda a: a.amax((0, 2, 3)) <= 0), "not True or False"),
    ("silent", reading(lambda a: (a.amax((0, 2, 3)) <= 0).nonzero()), "one flat list"),
    ("silent", reading(lambda a: (a.amax((0, 2, 3)) <= 0).nonzero()[:, 0].flip(0)), "rising order"),
    ("silent", reading(lambda a: (a[:1].amax((0, 2, 3)) <= 0).nonzero()[:, 0]), "not everywhere"),
    ("silent", reading(lambda a: (a[1:].amax((0, 2, 3)) <= 0).nonzero()[:, 0]), "not everywhere"),
    ("silent", reading(lambda a: (a.amax((0, 2, 3)) == 0).nonzero()[:, 0]), "below 0 everywhere"),
    ("silent", reading(lambda a: (a.mean((0, 2, 3)) <= 0).nonzero()[:, 0]), "on average, but not everywhere"),
    ("silent", lambda model, x, layer: silent_in_training(copy.deepcopy(model), x, layer), "in training mode"),
    ("silent", lambda *given: with_hook(*given, eval_mode=False), "leaves the model changed"),
    ("silent", lambda *given: with_hook(*given, restore=False), "leaves the model changed"),
    ("silent", lambda model, x, layer: [silent(model, x, layer), model.train()][0], "leaves the model changed"),
    ("silent", lambda *given: with_hook(*given, leave=True), "leaves the model changed"),
    ("silent", lambda model, x, layer: [], "silent"),
    ("pooled", [0.5, 0, -0.25, 0.25, 0, 0], "passes nothing"),
    ("pooled", [1, 0, -0.5, 0.25, 0, 0], "not their sum"),
    ("pooled", [1, 0, -0.5, 1, 0, 0], "not their sum"),
    ("pooled", [0.25, 0, -0.125, 1, 0, 0], "last three"),
    ("pooled", [0.25, 0, 0.125, 0.25, 0, 0], "subtracted"),
    ("pooled", [0.25, 0, 0, 0.25, 0, 0], "after the sum"),
    ("pooled", [0.125, 0, -0.125, 0.25, 0, 0], "taken twice"),
    ("pooled", [0.25, 0, -0.125, 0.125, 0, 0], "no ReLU behind it"),
    ("pooled", [[0.25, 0], [-0.125, 0.25], [0, 0]], "6 numbers"),
    ("pooled", [0.25, 0, -0.125, 0.25, 0, 0.1], "index (5,)"),
    ("pooled", [0.25, 0, -0.125], "6 numbers, not 3"),
]


test_right_answers_pass, test_no_answer_yet, test_slips_get_their_hint = checker_tests(
    check, [*RIGHT.items(), *OTHER_FORMS], WRONG
)
