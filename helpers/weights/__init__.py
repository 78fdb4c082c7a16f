"""Train the book's own networks, those that `helpers.models.pretrained` gives: python -m helpers.weights --help.

Four seeded trainings share one loop (`training`): "resnet18" on photographs (`photographs`), and three of the drawn
scenes (`drawn`). A training that was cut off continues after its last whole epoch and ends with the same weights. Then
the network is measured and stored, in `helpers/pretrained` and, its accuracy, in `experiments/weights.csv` and
`experiments/weights_classes.csv`. Source: the page "Model card".
"""
