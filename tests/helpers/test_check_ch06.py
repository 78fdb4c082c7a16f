"""Chapter 6's checkers: right answers pass, and each known slip gets the hint for it."""

from dataclasses import replace

import torch
from checker_cases import checker_tests
from torch import nn

from helpers.check import ch06 as check
from helpers.data import scenes
from helpers.models import ConvNet, LeNet, count_parameters

PICTURES = scenes(200, seed=0)
ORDER = torch.randperm(200, generator=torch.Generator().manual_seed(1))
SHUFFLED = replace(PICTURES, labels=PICTURES.labels[ORDER])


def pooled(batches):
    return torch.cat(batches).float().mean().item()


def mean_of_means(batches):
    return sum(b.float().mean().item() for b in batches) / len(batches)


def frozen(model):
    for p in model.parameters():
        p.requires_grad_(False)
    return model


RIGHT = {
    "variant": 81_302,
    "accuracy": pooled,
    "reading": [0.8, 0.6, 30 / 48, ("B", "C")],
    "constant_start": 150,
    "random_labels": (SHUFFLED, PICTURES),
    "two_layers": [48, 14, 6960],
    "diagnosis": ["optimisation", "over-fitting", "undecided"],
    "within_budget": ConvNet((32, 48, 64)),
}

OTHER_FORMS = [
    ("variant", "81,302"),
    *(("reading", [0.8, 0.6, 0.625, pair]) for pair in ("BC", "b, c", "B-C", "B taken for C", ["B", "C"])),
    ("two_layers", (48, 14.0, torch.tensor(6960))),
    ("diagnosis", ("Optimization", "overfitting", "undecided")),
]

WRONG = [
    ("variant", 62_006, "5x5"),
    ("variant", 60_182, "16x6x6"),
    ("variant", 81_066, "biases"),
    ("variant", 80_582, "input channels"),
    ("variant", 106_263, "too large"),
    ("variant", 106_262, "rounds down"),
    ("variant", 5, "too small"),
    ("accuracy", mean_of_means, "counts too much"),
    ("accuracy", lambda batches: sum(int(b.sum()) for b in batches), "not a share"),
    ("accuracy", lambda batches: 0.0, "should be"),
    ("accuracy", lambda batches: 100 * pooled(batches), "percentage"),
    ("accuracy", lambda batches: None, "return missing"),
    ("accuracy", 0.5, "the function itself"),
    ("accuracy", [0.5, 0.6], "the function itself"),
    ("reading", [0.8, 0.625, 0.6, ("B", "C")], "exchanged"),
    ("reading", [0.7, 0.6, 0.625, ("B", "C")], "accuracy"),
    ("reading", [0.8, 0.5, 0.625, ("B", "C")], "recall"),
    ("reading", [0.8, 0.6, 0.5, ("B", "C")], "precision"),
    ("reading", [0.8, 0.6, 0.625, "CB"], "rows are the true"),
    ("reading", [0.8, 0.6, 0.625, "AB"], "15"),
    ("reading", [0.8, 0.6, "BC"], "four things"),
    ("reading", [80, 60, 62.5, "BC"], "shares"),
    ("reading", [23 / 30, 0.6, 0.625, "BC"], "mean of the three recalls"),
    ("reading", [0.8, 0.6, 0.625, {"B", "C"}], "no order"),
    ("constant_start", 62_006, "all parameters"),
    ("constant_start", 10, "tensor"),
    ("constant_start", 275, "six kernels"),
    ("constant_start", 525, "same place"),
    ("constant_start", 141, "targets"),
    ("constant_start", 100, "red"),
    ("constant_start", 132, "ten weights"),
    ("constant_start", 26, "too small"),
    ("constant_start", 151, "too large"),
    ("random_labels", (PICTURES, PICTURES), "as they were"),
    ("random_labels", (PICTURES.subset(ORDER), PICTURES), "pictures changed"),
    ("random_labels", (replace(PICTURES, labels=torch.zeros_like(PICTURES.labels)), PICTURES), "counts"),
    ("random_labels", (replace(PICTURES, labels=(PICTURES.labels + 1) % 10), PICTURES), "renamed"),
    ("random_labels", (SHUFFLED.labels, PICTURES), "Give an ImageSet"),
    ("two_layers", [768, 14, 6960], "one map a filter"),
    ("two_layers", [48, 14, 6912], "biases"),
    ("two_layers", [48, 14, 480], "each of the 16"),
    ("two_layers", [48, 14, 1344], "3 colours"),
    ("two_layers", [48, 16, 6960], "Without padding"),
    ("two_layers", [48, 28, 6960], "pooling"),
    ("two_layers", [16, 14, 6960], "number of maps"),
    ("two_layers", [48, 15, 6000], "side and the number of parameters"),
    ("two_layers", [48, (14, 14), 6960], "side is one number"),
    ("two_layers", [48, 14], "three numbers"),
    ("diagnosis", ["over-fitting", "over-fitting", "undecided"], "first"),
    ("diagnosis", ["optimisation", "optimisation", "undecided"], "second"),
    ("diagnosis", ["optimisation", "over-fitting", "over-fitting"], "interval"),
    ("diagnosis", ["optimisation", "over-fitting"], "three words"),
    ("diagnosis", ["depth", "over-fitting", "undecided"], "three words"),
    ("within_budget", 3, "nn.Module"),
    ("within_budget", nn.Flatten(), "no parameters"),
    ("within_budget", nn.Sequential(ConvNet((32, 48, 64)), nn.Softmax(1)), "logits"),
    ("within_budget", LeNet(n_classes=3), "(2, 3)"),
    ("within_budget", ConvNet((64, 64, 64)), "too many"),
    ("within_budget", frozen(ConvNet((64, 64, 64))), "Frozen"),
]


test_right_answers_pass, test_no_answer_yet, test_slips_get_their_hint = checker_tests(
    check, [*RIGHT.items(), *OTHER_FORMS], WRONG, spread=("random_labels",)
)


def test_the_variant_is_what_torch_counts():
    net = LeNet()
    net.conv1, net.conv2, net.fc1 = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 16, 3), nn.Linear(16 * 36, 120)
    assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    assert count_parameters(net) == 81_302


def test_a_partly_shuffled_set_is_refused():
    labels = PICTURES.labels.clone()
    labels[:100] = labels[:100][torch.randperm(100, generator=torch.Generator().manual_seed(2))]
    verdict = check.random_labels(replace(PICTURES, labels=labels), PICTURES)
    assert verdict.right is False and "by chance" in verdict.message


def test_labels_shuffled_in_place_are_refused():
    pictures = replace(PICTURES, labels=PICTURES.labels.clone())
    pictures.labels.copy_(pictures.labels[ORDER])
    verdict = check.random_labels(pictures, pictures)
    assert verdict.right is False and "in place" in verdict.message


def test_the_checker_leaves_the_mode_as_it_was():
    model = LeNet().train()
    assert check.within_budget(model).right and model.training
