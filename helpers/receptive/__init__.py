"""Receptive fields: which pixels of the picture a unit of a network can see.

`receptive_fields` follows the recurrence of Araujo, Norris and Sim, "Computing receptive fields of convolutional neural
networks", Distill (2019), doi:10.23915/distill.00021, through a whole model (Chapter 3, "The recurrence").
`measured_receptive_field` finds the same for one layer by gradients.

`field` holds the recurrence, `rules` what each kind of layer does to a field, `analytic` the walk through a model.
"""

from helpers.receptive.analytic import receptive_fields
from helpers.receptive.field import ReceptiveField
from helpers.receptive.measured import measured_receptive_field

__all__ = ["ReceptiveField", "measured_receptive_field", "receptive_fields"]
