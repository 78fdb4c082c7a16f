"""Checkers of Chapter 12, "Face verification"."""

import torch

from helpers.check import checker, numbers_hint


@checker
def pairs(answer):
    """12.1: the contrastive loss of three pairs.
    One person is drawn together at any distance, strangers are pushed apart only up to the margin.
    """
    slips = (
        (0, 0.16, "The half is missing: a person's pair costs d^2 / 2."),
        (0, 0.2, "The distance is squared: d^2 / 2."),
        (0, 1.1**2 / 2, "That is what strangers would cost: the first pair shows one person."),
        (1, 0.64, "The half is missing: strangers cost max(0, m - d)^2 / 2."),
        (1, 0.045, "That is with the margin 1, the default of `contrastive_loss`: here it is 1.5."),
        (1, 0.245, "That is what a person's pair would cost: the second pair shows strangers."),
        (2, 0.005, "The maximum with 0 is missing: beyond the margin strangers cost nothing."),
        (2, 0.01, "The maximum with 0 is missing: beyond the margin strangers cost nothing."),
        (2, 1.28, "That is what a person's pair would cost: the third pair shows strangers."),
    )
    names = ("loss of one person's pair", "loss at distance 0.7", "loss at distance 1.6")
    return numbers_hint(answer, names, (0.08, 0.32, 0.0), slips, 1e-12, 5e-3)


@checker
def triplets(answer):
    """12.2: three triplet losses, and the mean of those that are not 0.
    The negative that is nearer than the positive costs most; the one at a right angle to the anchor nothing.
    """
    distance = "Those are distances: the loss takes squared ones, 2 - 2 a.b for points of length 1."
    slips = (
        (0, -1.4, "The maximum with 0 is missing: a negative far enough away costs nothing."),
        (1, 0.0, "The margin is missing: at equal distances the loss is the margin."),
        (2, 0.32, "The margin is missing: 0.4 - 0.08 and then 0.2 more."),
        (2, 0.4**0.5 - 0.08**0.5 + 0.2, distance),
        (3, 0.24, "That is the mean of all three: leave out those that are 0 already."),
        (3, 0.72, "That is the sum: divide by how many are not 0."),
    )
    names = ("loss of the first negative", "loss of the second negative", "loss of the third negative", "mean")
    return numbers_hint(answer, names, (0.0, 0.2, 0.52, 0.36), slips, 1e-12, 5e-3)


@checker
def rates(answer):
    """12.3: FMR and FNMR at 0.7, the lowest threshold for FMR <= 0.125, and the equal error rate.
    Each rate has its own denominator: strangers' pairs for the one, one person's pairs for the other.
    """
    slips = (
        (0, 0.25, "That is the FNMR: the false match rate counts strangers who are accepted, of eight."),
        (0, 1 / 12, "Divide by the strangers' pairs, not by all pairs."),
        (0, 1 / 4, "Of the four accepted pairs one is wrong, but the FMR divides by the eight strangers' pairs."),
        (1, 0.125, "That is the FMR: the false non-match rate counts rejected pairs of one person, of four."),
        (1, 1 / 12, "Divide by one person's pairs, not by all pairs."),
        (1, 0.75, "That is the share accepted: the FNMR is the share rejected."),
        (2, 0.85, "That keeps it, but a lower one does as well: the FMR does not change on the way down to it."),
        (2, 0.8, "That keeps it, but a lower one does as well."),
        (2, 0.7, "0.7 keeps it, but is none of the twelve scores: take the lowest of those that keep it."),
        (2, 0.6, "At 0.6 the stranger who scores 0.6 is accepted, too: two of eight."),
        (3, 0.125, "There the FNMR is twice as large: lower the threshold until the two are equal."),
        (3, 0.6, "That is the threshold: give the rate that both errors have there."),
        (3, 0.1875, "No mean is needed: at one of the scores the two rates are equal."),
    )
    names = ("FMR", "FNMR", "threshold", "equal error rate")
    return numbers_hint(answer, names, (0.125, 0.25, 0.75, 0.25), slips, 1e-12, 5e-3)


@checker
def longer_list(answer):
    """12.4: the chance of an alarm against 5,000 people, and the FMR for 1 % against a million.
    Against a million people, one false match in a hundred million comparisons is what it takes.
    """
    right = (1 - (1 - 1e-4) ** 5000, -(0.99 ** (1 / 1e6) - 1))
    slips = (
        (0, 0.5, "K p is an approximation for small K p, and here it is 0.5: take 1 - (1 - p)^K."),
        (0, 0.39, "Nearly: give three digits."),
        (0, 1 - right[0], "That is the chance that nobody matches."),
        (1, 0.99 ** (1 / 1e6), "That is 1 - p: the chance that one comparison raises no alarm."),
        (1, 1 - 0.01 ** (1 / 1e6), "With that rate the chance of an alarm is 99 %: which one should be 1 %?"),
    )
    return numbers_hint(answer, ("chance against 5,000", "false match rate"), right, slips, 1e-12, 7e-3)


@checker
def stadium(answer):
    """12.5: right alarms, false alarms, the share that is right, and the chance that a listed person passes.
    Five of six people who are stopped are not on the list.
    """
    right, false = 19.0, 49_980 * 0.002
    slips = (
        (0, 47_500, "Only the 20 people on the list can raise a right alarm."),
        (1, 0.04, "That counts false alarms among the listed: they come from everybody else."),
        (2, 0.95, "That is the share of the listed who raise an alarm: divide by all alarms."),
        (2, 0.998, "That is the share of the others who raise none: divide the right alarms by all alarms."),
        (2, 19 / 50_000, "Divide by all alarms, not by all visitors."),
        (2, false / (right + false), "That is the share of the alarms that is false."),
        (3, 0.002, "That is the chance of a false alarm: how many of the listed are missed?"),
        (3, 1.0, "That is how many of the 20 are missed: give the chance for one of them."),
    )
    names = ("number of right alarms", "number of false alarms", "share that is right", "chance to pass")
    return numbers_hint(answer, names, (right, false, right / (right + false), 0.05), slips, 1e-12, 5e-3)


@checker
def hardest(answer):
    """12.6: a function (z, labels) -> the index of the nearest point of another person, for each point.
    In a batch these are the hardest negatives: with them alone, training may collapse to one point for all.
    """
    if not callable(answer):
        return "Give the function itself, not what it returns."
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(40, 5, generator=generator)
    labels = torch.randint(6, (40,), generator=generator)
    before = z.clone(), labels.clone()
    given = answer(z, labels)
    if not (torch.equal(z, before[0]) and torch.equal(labels, before[1])):
        return "The function changes what it is given: work on a new tensor."
    squared = (z[:, None] - z).square().sum(2)
    same = labels[:, None] == labels
    expected = squared.masked_fill(same, float("inf")).argmin(1)
    if not torch.is_tensor(given) or given.shape != expected.shape:
        return "The function should return a tensor of 40 indices for 40 points, one for each."
    if given.dtype != torch.int64:
        return f"Indices are whole numbers, int64, not {given.dtype}."
    z_unit = torch.nn.functional.normalize(z)
    slips = (
        (torch.arange(40), "Each point is nearest to itself: leave out the point and all of the same person."),
        (
            squared.masked_fill(torch.eye(40, dtype=torch.bool), float("inf")).argmin(1),
            "The point itself is left out, but its own person's other pictures are not.",
        ),
        (squared.masked_fill(same, -1).argmax(1), "Those are the farthest ones: the easiest negatives."),
        ((z_unit @ z_unit.T).masked_fill(same, -2).argmax(1), "Cosines order points by distance only if all have "
         "length 1: here they have not."),
        ((z @ z.T).masked_fill(same, float("-inf")).argmax(1), "The dot product orders points by distance only if all "
         "have length 1: here they have not."),
        (squared.masked_fill(~same | torch.eye(40, dtype=torch.bool), -1).argmax(1), "Those are the farthest pictures "
         "of the same person, the hardest positives."),
    )  # fmt: skip
    if torch.equal(given, expected):
        return None
    for slip, hint in slips:
        if torch.equal(given, slip):
            return hint
    wrong = int((given != expected).nonzero()[0])
    if same[wrong, given[wrong]]:
        return (
            f"The answer for point {wrong} shows the same person: leave such points out, with a value that is farther "
            "than any distance."
        )
    return f"The answer for point {wrong} is not the nearest one of another person."
