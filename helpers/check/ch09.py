"""Checkers of Chapter 9, "Evaluating a classifier"."""

import math

import torch

from helpers.check import as_numbers, checker, numbers_hint
from helpers.data import HERITAGE_COUNTS
from helpers.metrics import calibration_error


@checker
def averages(answer):
    """9.1: accuracy, macro precision, macro recall and macro F1 of a matrix of three classes.
    The rarest class pulls all three macro averages below the accuracy.
    """
    exchanged = "Precision and recall are exchanged: precision divides by the column, recall by the row."
    slips = (
        (0, 0.65, "That is the mean of the recalls: the accuracy divides the diagonal's sum by all pictures."),
        (1, 0.65, exchanged),
        (1, 0.73462, "That is weighted by the classes' pictures: in a macro average each class counts a third."),
        (1, 0.74, "That is the micro average, the accuracy: average the three precisions."),
        (2, 0.67308, exchanged),
        (2, 0.74, "That is the weighted or the micro average, the accuracy: average the three recalls."),
        (3, 0.66134, "That is the F1 of the macro averages: average the three classes' F1 instead."),
        (3, 0.66154, "That is the mean of macro precision and recall: average the three classes' F1 instead."),
        (3, 0.73660, "That is weighted by the classes' pictures: in a macro average each class counts a third."),
    )
    names = ("accuracy", "macro precision", "macro recall", "macro F1")
    expected = (0.74, (0.75 + 0.5 + 40 / 52) / 3, 0.65, (0.75 + 8 / 18 + 80 / 102) / 3)
    return numbers_hint(answer, names, expected, slips, 6e-4)


@checker
def laziest(answer):
    """9.2: accuracy, macro recall, macro F1 and best cross-entropy of always saying "column".
    A trained network has to beat these.
    """
    shares = [n / sum(HERITAGE_COUNTS.values()) for n in HERITAGE_COUNTS.values()]
    most = max(shares)
    entropy = -sum(p * math.log(p) for p in shares)
    slips = (
        (0, 0.1, "The classes are not equally frequent: how many of the 10,235 pictures are columns?"),
        (1, most, "That is the weighted recall, which is the accuracy: of the ten recalls, one is 1 and nine are 0."),
        (1, 1, "That is the column's recall: the other nine are 0."),
        (2, 2 * most / (1 + most), "That is the column's F1: the nine others are 0."),
        (2, 2 * most * 0.1 / (most + 0.1), "That is the F1 of accuracy and macro recall: average the ten F1."),
        (3, math.log(10), "That is with ten equal probabilities: the classes' own shares do better."),
        (3, entropy / math.log(2), "That is in bits: use the natural logarithm."),
        (3, -math.log(most), "That is the loss of a column alone: average over the pictures of all classes."),
    )
    names = ("accuracy", "macro recall", "macro F1", "cross-entropy")
    return numbers_hint(answer, names, (most, 0.1, 0.2 * most / (1 + most), entropy), slips, 6e-4)


@checker
def elsewhere(answer):
    """9.3: the precision of one detector where 50 %, 4 % and 1 % of the pictures are positive.
    The detector is the same: its recall and its rate of false alarms did not change.
    """
    shares = (0.5, 407 / 10_235, 0.01)
    expected = [p * 0.95 / (p * 0.95 + (1 - p) * 0.05) for p in shares]
    slips = [(i, p * 0.95, "That is the share of true alarms among all pictures: divide by all alarms.") for i, p in
             enumerate(shares)]  # fmt: skip
    slips += [(i, 0.95, "That is the recall: of the pictures that it says yes to, how many are buttresses?") for i in
              (1, 2)]  # fmt: skip
    slips += [(i, p, "That is how frequent buttresses are, before the detector has spoken.") for i, p in
              enumerate(shares)]  # fmt: skip
    slips += [(1, 407 * 0.95 / (407 * 0.95 + 10_235 * 0.05), "The false alarms come from the other 9,828 pictures.")]
    names = ("precision at one half", "precision in the heritage set", "precision at one in a hundred")
    return numbers_hint(answer, names, expected, slips, 6e-4)


@checker
def calibration(answer):
    """9.4: a function (confidences, right) -> expected calibration error with ten bins.
    Each bin counts by its pictures, and an empty one not at all.
    """
    if not callable(answer):
        return "Give the function itself, not a number that it returns."
    generator = torch.Generator().manual_seed(0)
    for n in (400, 30):  # surer than right, but in the lower half
        confidence = 0.1 + 0.9 * torch.rand(n, generator=generator)
        right = torch.rand(n, generator=generator) < 0.3 + 0.4 * confidence**2
        if hint := _calibration_hint(answer(confidence.clone(), right.clone()), confidence, right):
            return hint
    given = float(answer(torch.tensor([0.5, 0.5, 0.55]), torch.tensor([True, True, False])))
    if abs(given - (2 * 0.5 + 0.55) / 3) <= 1e-4:  # 0.5 is exact in binary: the fifth bin's upper end
        return None
    if abs(given - (2 - 1.55) / 3) <= 1e-4:  # all three in one bin
        return "A confidence of 0.5 is in the wrong bin: the upper end belongs to a bin, the lower does not."
    return f"For 0.5 (right), 0.5 (right) and 0.55 (wrong) it should be 0.5167, not {given:.4f}: most bins are empty."


def _calibration_hint(given, confidence, right):
    if given is None:
        return "The function returns nothing: is the return missing?"
    given, gaps, weights, middles = float(given), [], [], []
    for b in range(10):
        inside = (confidence > b / 10) & (confidence <= (b + 1) / 10)
        if inside.any():
            accuracy = right[inside].double().mean().item()
            gaps.append(accuracy - confidence[inside].double().mean().item())
            middles.append(accuracy - (b + 0.5) / 10)
            weights.append(inside.double().mean().item())
    slips = (
        (sum(map(abs, gaps)) / len(gaps), "You average over the bins: a bin counts by its pictures."),
        (sum(map(abs, gaps)) / 10, "You average over all ten bins: a bin counts by its pictures."),
        (sum(map(abs, gaps)), "You add up the gaps: weigh each by its bin's share of the pictures."),
        (max(map(abs, gaps)), "That is the largest gap of a bin, not the mean."),
        (abs(sum(g * w for g, w in zip(gaps, weights))), "Gaps of different sign cancel: take absolute values."),
        (-abs(sum(g * w for g, w in zip(gaps, weights))), "Gaps of different sign cancel: take absolute values."),
        (sum(g * g * w for g, w in zip(gaps, weights)), "You square the gaps: take their absolute values."),
        (sum(abs(m) * w for m, w in zip(middles, weights)), "You compare with the bin's middle: take its mean "
         "confidence."),
    )  # fmt: skip
    expected = sum(abs(g) * w for g, w in zip(gaps, weights))
    if math.isnan(given):
        return "The function returns nan: what is the accuracy of an empty bin?"
    if abs(given - expected) < 1e-4:
        return None
    for slip, hint in slips:
        if abs(given - slip) < 1e-4:
            return hint
    return f"For {len(right)} answers it should be {expected:.4f}, not {given:.4f}."


@checker
def difference(answer):
    """9.5: the bootstrap interval of the difference of two accuracies on the same pictures.
    It does not reach 0, although the two networks' own intervals overlap.
    """
    numbers = as_numbers(answer, 2)
    if isinstance(numbers, str):
        return numbers
    low, high = numbers
    if abs(low - 0.77) < 0.6 and abs(high - 5.23) < 0.8:
        return "Those are percentage points: give shares between -1 and 1."
    if abs(low - 0.754) < 0.01 and abs(high - 0.805) < 0.01 or abs(low - 0.723) < 0.01 and abs(high - 0.777) < 0.01:
        return "That is the interval of one network's accuracy: bootstrap the difference."
    if abs(low + 0.007) < 0.006 and abs(high - 0.067) < 0.006:
        return "Those two were resampled apart: the same rows must be drawn for both networks."
    if abs(low + 0.052) < 0.006 and abs(high + 0.008) < 0.006:
        return "That is the second less the first: take the first less the second."
    if low > high:
        return "Give the lower end first."
    off = max(abs(low - 0.0077), abs(high - 0.0523))
    if 0.004 < off <= 0.012:
        return f"({low:.3f}, {high:.3f}) is near, but rough: draw more resamples, a thousand or so."
    if off > 0.004:
        return f"({low:.3f}, {high:.3f}) is not it: are 700, 80, 50 and 170 of the rows right-right, right-wrong, ...?"
    return None


@checker
def lowest_threshold(answer):
    """9.6: the lowest threshold of eight whose precision is at least 0.65, with its precision and recall.
    Precision goes up and down with the threshold; recall only grows as it falls.
    """
    slips = (
        (0, 0.95, "At 0.9 the precision falls short, but lower down it may recover: look at all eight."),
        (0, 0.7, "At 0.6 the precision falls short, but lower down it may recover: look at all eight."),
        (0, 0.8, "That will do, but a lower one will, too."),
        (0, 0.6, "At 0.6 three of five are apses: that is less than 0.65."),
        (0, 0.9, "At 0.9 one of two is an apse: that is less than 0.65."),
        (0, 0.3, "At 0.3 four of seven are apses: that is less than 0.65."),
        (1, 1, "That is the recall: precision divides by all that are shown."),
        (2, 2 / 3, "That is the precision: recall divides by all apses."),
        (2, 0.5, "Recall divides by the four apses, not by the eight pictures."),
    )
    return numbers_hint(answer, ("threshold", "precision", "recall"), (0.45, 2 / 3, 1), slips, 4e-3)


@checker
def larger(answer):
    """9.7: the parameters of the C6 network for pictures of 64x64 and of 128x128.
    The first dense layer has four times the inputs when the side doubles; the convolutions do not change.
    """
    rest = 8_395_018 - 2048 * 2049
    sides = (4, 8)  # of the last maps
    expected = [rest + 2048 * (512 * side**2 + 1) for side in sides]
    slips = []
    for i, (side, right) in enumerate(zip(sides, expected)):
        inputs = 512 * side**2
        slips += [
            (i, 8_395_018, "That is for 32x32: the first dense layer reads 512 maps of (side / 16)^2."),
            (i, right - 2048, "A bias a unit is missing in the first dense layer."),
            (i, rest + 2048 * (512 * (2 * side) ** 2 + 1), "There are four poolings, not three."),
            (i, rest + 2048 * (512 * (side // 2) ** 2 + 1), "There are four poolings, not five: none after the last "
             "convolution."),
            (i, right - 1984, "Scale and shift of the batch normalisations are missing."),
            (i, right + 1984, "The running means and variances are counted too: no gradient changes them."),
            (i, rest - 1024 * 2049 + 1024 * (inputs + 1), "The dense layer of 2048 units is missing."),
        ]  # fmt: skip
    names = ("number at 64x64", "number at 128x128")
    numbers = as_numbers(answer, 2)
    if not isinstance(numbers, str) and max(abs(n - e) for n, e in zip(numbers, reversed(expected))) < 0.5:
        return "The two are exchanged: 64x64 comes first."
    return numbers_hint(answer, names, expected, slips, 4)  # float32 keeps such a number to 4


@checker
def adjusted(answer):
    """9.8: a function (logits, counts) -> logits for classes that are equally frequent.
    Dividing by the share of a class gives rare classes back what the training took from them.
    """
    if not callable(answer):
        return "Give the function itself, not what it returns."
    generator = torch.Generator().manual_seed(0)
    z, counts = torch.randn(6, 3, generator=generator), [70, 20, 10]
    before = z.clone()
    given = answer(z, counts)
    if not torch.equal(z, before):
        return "The function changes the logits that it is given: return new ones."
    if not torch.is_tensor(given) or given.shape != z.shape:
        return "The function should return a tensor of logits of the same shape."
    pi = torch.tensor(counts) / 100
    adjusted_p = (z.softmax(1) / pi).double()
    adjusted_p = adjusted_p / adjusted_p.sum(1, keepdim=True)
    if torch.allclose(given.double(), adjusted_p, atol=1e-5):
        return "Those are the right probabilities: return their logarithms, which are logits."
    given = given.double().softmax(1)
    slips = (
        (z + pi.log(), "You add the logarithms: a class that was frequent in training must lose, not gain."),
        (z - pi, "You subtract the shares: logits are logarithms, so subtract the logarithms of the shares."),
        (z / pi, "You divide the logits: divide the probabilities, or subtract logarithms from the logits."),
        (z, "The logits' order is as it was: nothing has been adjusted."),
    )
    if torch.allclose(given, (z - pi.log()).double().softmax(1), atol=1e-5):
        return None
    for slip, hint in slips:
        if torch.allclose(given, slip.double().softmax(1), atol=1e-5):
            return hint
    if torch.allclose(given, (z.softmax(1) / pi).double().softmax(1), atol=1e-5):
        return "Those are probabilities: return their logarithms, which are logits."
    return "The probabilities should be proportional to the network's, divided by the classes' shares."


def _ece(confidence, right):
    """The reference of 9.4 in the chapter's own terms, for the tests."""
    others = ((1 - confidence) / 10)[:, None].expand(-1, 10)  # each is smaller than a confidence above 1/11
    p = torch.cat([confidence[:, None], others], 1)
    return calibration_error(p, (~right).long(), 10)
