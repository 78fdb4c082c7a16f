"""Pictures made by gradients with respect to the pixels: what a unit wants, what a code keeps, what fools a network.

`ascent` climbs an objective, for a class or a unit; `inversion` turns a code back into a picture; `adversarial` changes
a picture a little and the answer a lot; `smoothness` holds what keeps a picture smooth on the way.
"""

from helpers.synthesis.adversarial import Normalised, fgsm, pgd, sign_noise
from helpers.synthesis.ascent import SMOOTH, class_image, gradient_ascent, unit_image
from helpers.synthesis.inversion import invert
from helpers.synthesis.smoothness import blur, from_spectrum, to_spectrum, total_variation

__all__ = ["SMOOTH", "Normalised", "blur", "class_image", "fgsm", "from_spectrum", "gradient_ascent", "invert", "pgd"]
__all__ += ["sign_noise", "to_spectrum", "total_variation", "unit_image"]
