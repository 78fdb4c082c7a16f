"""Checkers of Chapter 7, "Augmentation and normalisation"."""

import inspect

import numpy as np
import torch

from helpers.check import array_hint, as_numbers, checker


@checker
def crop(answer):
    """7.1: a mirrored 3x3 picture, cut out of its zero-padded version.
    First the mirror, then the frame of zeros, then the window.
    """
    slips = (
        ([[0, 0, 0], [2, 3, 0], [5, 6, 0]], "The picture is not mirrored."),
        ([[0, 0, 0], [0, 3, 2], [0, 6, 5]], "You cut first and mirrored afterwards: the order matters here."),
        ([[0, 6, 5], [0, 9, 8], [0, 0, 0]], "Top and left are exchanged: the window begins in row 0, column 2."),
        ([[0, 0, 0], [8, 9, 0], [5, 6, 0]], "That is mirrored top to bottom; left to right was asked for."),
        (
            [[0, 0, 0], [3, 2, 1], [6, 5, 4]],
            "Rows and columns count from 0: column 2 of the framed picture is its third.",
        ),
        ([[1, 0, 0], [4, 0, 0], [7, 0, 0]], "The window begins in row 0 of the *padded* picture, which is zeros."),
    )
    return array_hint(answer, [[0, 0, 0], [2, 1, 0], [5, 4, 0]], slips)


@checker
def versions(answer):
    """7.2: how many versions a picture has, and how often it is seen as it was taken.
    Even in a hundred epochs, about one picture in eight is never seen as it was taken.
    """
    numbers = as_numbers(answer, 3)
    if isinstance(numbers, str):
        return numbers
    count, times, never = numbers
    known = {
        25: "Each of the 25 crops comes mirrored and not mirrored.",
        32: "With padding 2 on each side there are 5 places along an axis: 0, 1, 2, 3 and 4.",
        18: "The padding is on both sides: the window can move by 4 pixels along an axis, which makes 5 places.",
        27: "Every crop can be combined with either flip: multiply.",
        162: "That is for padding 4; here it is 2.",
        10: "There are 5 places along each axis, so 25 in the plane.",
    }
    if count != 50:
        return known.get(count, f"{count:g} versions are not right: places downwards times places across times flips.")
    if abs(times - 2) > 1e-3:
        return "Each of the 50 versions is as likely as any other: how often does one of them come in 100 draws?"
    if abs(never - 13.3) < 0.5:
        return "Give the chance as a number between 0 and 1, not as a percentage."
    if abs(never - 0.867) < 1e-3:
        return "That is the chance that it is seen at least once."
    if abs(never - 0.98**100) < 1e-3 or abs(never - 0.13) < 1e-6:
        return None
    return "One epoch misses it with the chance 49/50. Independent chances multiply; give three digits."


@checker
def scaled(answer):
    """7.3: mean and deviation after 0.5/0.5, and after 0 and 5.
    The mean moves and is divided, the deviation is only divided.
    """
    numbers = as_numbers(answer, 4)
    if isinstance(numbers, str):
        return numbers
    if np.allclose(numbers, [-0.4, 0.06, 0.4, 0.04]):
        return "The order: mean and deviation after 0.5/0.5 first, then mean and deviation after 0 and 5."
    known = (
        ((-0.2, None, None, None), "The mean after 0.5/0.5 is divided by 0.5, too."),
        ((None, -0.6, None, None), "Subtracting a number from all values does not change their deviation."),
        ((None, 0.16, None, None), "That is the variance after 0.5/0.5; the deviation was asked for."),
        ((None, 0.8, None, None), "You divided the deviation by 0.5 twice."),
        ((None, 0.2, None, None), "The deviation is divided by 0.5."),
        ((None, None, 0.3, None), "The mean after 0 and 5 is divided by 5."),
        ((None, None, 0, None), "Subtracting 0 leaves the mean as it is; then it is divided by 5."),
        ((None, None, None, 5), "5 is what you divide by, not what comes out."),
        ((None, None, None, 0.008), "For the last number you divided by 5 twice, or took the variance."),
    )
    for slip, hint in known:
        if any(s is not None and abs(s - n) < 1e-6 for s, n in zip(slip, numbers)):
            return hint
    return array_hint(numbers, [-0.4, 0.4, 0.06, 0.04])


@checker
def absorbed(answer):
    """7.4: a unit's weights and bias for inputs that are not normalised.
    So a first layer can do all that normalisation does.
    """
    numbers = as_numbers(answer, 4)
    if isinstance(numbers, str):
        return numbers
    if np.allclose(numbers[:3], [1, -0.5, 1.5]):
        return "The weights are divided by 0.5, not multiplied."
    slips = (
        ([4, -2, 6, 0.5], "The bias changes, too: what does a normalised unit answer to x = 0?"),
        ([4, -2, 6, 4.5], "The sign of the bias's change: the mean is subtracted."),
        ([4, -2, 6, -1.5], "In the bias, each weight times the mean is divided by the deviation, too."),
        ([4, -2, 6, -3], "The old bias of 0.5 is not divided: it is added after the inputs were normalised."),
        ([4, -2, 6, -0.5], "In the bias, every mean is multiplied by its weight before the division."),
        ([4, -2, 6, -7.5], "For the bias you divided twice: the old weights times 0.5, divided by 0.5."),
        ([4, -2, 6, -4], "You lost the old bias of 0.5."),
        ([2, -1, 3, 0.5], "Those are the old ones; with x instead of (x - 0.5) / 0.5 they give something else."),
    )
    return array_hint(numbers, [4, -2, 6, -3.5], slips)


LABELS = ("changes", "keeps", "changes", "keeps", "changes", "changes")
WHY = (
    "Mirrored, a sign that says 'left' says 'right'.",
    "A mirrored dog is a dog.",
    "Half a turn makes a 6 of a 9.",
    "A slide lies under a microscope in any orientation.",
    "Whether a tomato is ripe is seen by its colour.",
    "If the label says where the object is, moving the picture moves the truth.",
)


@checker
def labels(answer):
    """7.5: which changes keep the label.
    The question is always what the label says, never what looks natural.
    """
    words = [str(word).strip().lower() for word in answer]
    if len(words) != 6 or not set(words) <= {"keeps", "changes"}:
        return 'Give a list of six words, each of them "keeps" or "changes".'
    for i, (word, right, why) in enumerate(zip(words, LABELS, WHY)):
        if word != right:
            return f"Look again at ({'abcdef'[i]}). {why}"
    return None


@checker
def quarter_turns(answer):
    """7.6: a function (batch, generator) that turns each square picture by a random number of quarter turns.
    Each picture by a turn of its own, all four turns equally often.
    """
    x = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0)).repeat(500, 1, 1, 1)
    turned, hint = _applied(answer, x)
    if hint:
        return hint
    turns = torch.stack([x[0].rot90(k, (1, 2)) for k in range(4)])
    which = (turned[:, None] == turns).flatten(2).all(2)
    if not which.any(1).all():
        mirrored = (turned[:, None] == turns.flip(3)).flatten(2).all(2).any(1)
        if mirrored.any():
            return "Some pictures come out mirrored: transposing alone is no turn."
        return "The pictures come out as none of their four turns: rows and columns are axes 2 and 3 of the batch."
    counts = which.sum(0).tolist()
    occurred = f"Of {len(turned)} pictures, {counts} were turned by 0, 1, 2 and 3 quarters: each should "
    if min(counts) == 0:
        return occurred + "occur."
    if max(abs(count - len(turned) / 4) for count in counts) > 130:  # nearly five deviations
        return occurred + "be equally likely. Draw one number a picture, and turn no picture twice."
    return None


@checker
def effects(answer):
    """7.7: the effects of two changes, from four combinations and two seeds.
    Effects need not add up: alone the two bring 2.5 and -1.5 points, together 3.5.
    """
    numbers = as_numbers(answer, 4)
    if isinstance(numbers, str):
        return numbers
    right = np.array([2.5, -1.5, 5, 3.5])
    if np.allclose(numbers, -right) or np.allclose(numbers[:2], -right[:2]):
        return "The signs: with the change, less without it."
    if np.allclose(numbers, right / 100):
        return "In points: 61 per cent less 58 are 3."
    if np.allclose(numbers, 2 * right):
        return "The mean over the two seeds, not the sum."
    known = (
        (0, 5, "The first is A alone: compare A with neither."),
        (1, 1, "The second is B alone: compare B with neither, not both with A."),
        (1, 1.5, "B alone is worse than neither, with both seeds: its effect is negative."),
        (2, 1, "The third is A where B is made: compare both with B, not with A."),
        (2, 2.5, "Where B is made, A has another effect than alone: compare both with B."),
        (2, 3.5, "The third compares both with B alone, not with neither."),
        (3, 1, "The effects do not add up: compare both with neither."),
        (3, 5, "The fourth compares both with neither, not with B."),
    )
    for i, slip, hint in known:
        if abs(numbers[i] - slip) < 1e-6:
            return hint
    return array_hint(numbers, right)


@checker
def recipe(answer):
    """7.8: any function (batch, generator) -> batch that is fit for augmenting.
    It keeps to the rules; whether it helps is for the validation set to say.
    """
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).repeat(60, 1, 1, 1)
    changed, hint = _applied(answer, x)
    if hint:
        return hint
    if not torch.isfinite(changed).all() or changed.min() < -1e-6 or changed.max() > 1 + 1e-6:
        return "Its values leave [0, 1]: cut them off, and leave the normalisation to `fit`."
    one_other = torch.cat([1 - x[:1], x[1:]])
    with_it, without = (answer(batch, torch.Generator().manual_seed(1))[1:] for batch in (one_other, x.clone()))
    if not torch.equal(with_it, without):
        return "What becomes of a picture depends on the others: a mixture changes the label, too."
    return None


SEEDS = range(8)


def _applied(function, x):
    """(what the function makes of the batch with several seeds, None) or (None, a hint): the rules of a random change.

    x: one picture, repeated.
    """
    if not callable(function):
        return None, "Give the function itself, not a batch that it returns."
    try:
        inspect.signature(function).bind(x, torch.Generator())
    except TypeError:
        return None, "The function is called with two arguments, the batch and a generator, in this order."
    except ValueError:
        pass  # some callables do not say what they take
    given = [x.clone() for _ in 2 * list(SEEDS)]
    try:
        runs = [function(batch, torch.Generator().manual_seed(i % len(SEEDS))) for i, batch in enumerate(given)]
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        what = f"The function stops ({type(error).__name__}: {error}). A batch has the axes picture, channel, row, "
        what += "column, from 0 to 3, a picture of it one axis less; "
        return None, what + "and the generator is the second argument, or passed by name."
    hint = _rules(runs, given, x)
    return (None, hint) if hint else (torch.cat(runs[: len(SEEDS)]), None)


def _rules(runs, given, x):
    """The hint for the first rule that is broken, or None. runs: two for each seed; given: the batches, afterwards."""
    if any(run is None for run in runs):
        return "The function returns nothing: is the return missing?"
    if not torch.is_tensor(runs[0]):
        kind = type(runs[0]).__name__
        return f"The function returns a {kind}; it should be one batch, a tensor, and no labels."
    if not all(torch.equal(batch, x) for batch in given):
        return "The batch that it was given has changed: work on a copy."
    if runs[0].shape != x.shape:
        return f"The shape is {tuple(runs[0].shape)}; it should stay {tuple(x.shape)}."
    if all(torch.equal(run, x) for run in runs):
        return "It changes nothing."
    runs, again = runs[: len(SEEDS)], runs[len(SEEDS) :]
    if not all(torch.equal(one, other) for one, other in zip(runs, again)):
        return "The same generator gives another result: let every draw use the generator."
    if all(torch.equal(run, run[:1].expand_as(run)) for run in runs):
        return "All pictures of a batch are changed in the same way: draw for each picture."
    if all(torch.equal(run, runs[0]) for run in runs):
        return "Another generator gives the same result: nothing in it is random, or a seed is fixed."
    return None
