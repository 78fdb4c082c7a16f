"""helpers.filters against scipy and scikit-image."""

import numpy as np
import pytest
from scipy import ndimage, signal
from skimage.feature import match_template

from helpers import data, filters


@pytest.fixture(scope="module")
def cat():
    return data.photo("cat").double().mean(0).numpy() / 255


def test_sobel_equals_scipy(cat):
    np.testing.assert_allclose(filters.apply(cat, filters.SOBEL_X), ndimage.sobel(cat, axis=1)[1:-1, 1:-1], atol=1e-5)
    np.testing.assert_allclose(filters.apply(cat, filters.SOBEL_Y), ndimage.sobel(cat, axis=0)[1:-1, 1:-1], atol=1e-5)


def test_sharpen_is_the_picture_less_its_laplacian():
    identity = np.zeros((3, 3))
    identity[1, 1] = 1
    np.testing.assert_array_equal(filters.SHARPEN, identity - filters.LAPLACE)


@pytest.mark.parametrize("size, sigma", [(3, 1.0), (4, 0.8), (21, 3.5), (1, None)])
def test_gaussian(size, sigma):
    profile = signal.windows.gaussian(size, sigma or size / 6)
    expected = np.outer(profile, profile)
    np.testing.assert_allclose(filters.gaussian(size, sigma), expected / expected.sum(), atol=1e-12)


def test_gaussian_refuses():
    with pytest.raises(ValueError, match="sigma above 0"):
        filters.gaussian(3, 0)


def test_apply_filters_each_channel_by_itself():
    colour = np.random.default_rng(0).normal(size=(3, 9, 8))
    kernel = np.arange(6.0).reshape(2, 3)
    expected = [signal.correlate2d(channel, kernel, mode="valid") for channel in colour]
    np.testing.assert_allclose(filters.apply(colour, kernel), expected, atol=1e-12)


def test_normalised_correlation_equals_scikit_image(cat):
    template = cat[100:125, 170:200]
    ours = filters.normalised_correlation(cat, template)
    np.testing.assert_allclose(ours, match_template(cat, template), atol=1e-4)
    assert np.unravel_index(ours.argmax(), ours.shape) == (100, 170)


def test_normalised_correlation_ignores_brightness_and_contrast(cat):
    template = cat[100:125, 170:200]
    changed = filters.normalised_correlation(0.3 * cat + 0.5, template)
    np.testing.assert_allclose(changed, filters.normalised_correlation(cat, template), atol=1e-6)


def test_normalised_correlation_where_nothing_varies():
    image = np.ones((6, 6))
    image[:3, :3] = np.eye(3)
    answer = filters.normalised_correlation(image, np.eye(3))
    assert answer[0, 0] == pytest.approx(1) and answer[3, 3] == 0
    with pytest.raises(ValueError, match="no contrast"):
        filters.normalised_correlation(image, np.ones((3, 3)))


def test_apply_passes_the_geometry_on():
    grey, kernel = np.random.default_rng(0).normal(size=(9, 8)), np.ones((3, 3))
    full = signal.correlate2d(np.pad(grey, 2), kernel, mode="valid")
    np.testing.assert_allclose(filters.apply(grey, kernel, stride=2, padding=2), full[::2, ::2], atol=1e-12)
    assert filters.apply(grey, kernel, dilation=3).shape == (3, 2)
    with pytest.raises(ValueError, match=r"image must be \(H, W\) or \(C, H, W\)"):
        filters.apply(np.ones((2, 3, 8, 8)), kernel)


def test_gaussian_defaults():
    np.testing.assert_array_equal(filters.gaussian(9), filters.gaussian(9, 1.5))
    with pytest.raises(ValueError, match="kernel_size must be at least 1"):
        filters.gaussian(0, 1)


def test_faint_patches_count_as_much_as_strong_ones():
    rng = np.random.default_rng(0)
    faint = 100 + 1e-3 * rng.normal(size=(12, 12))
    answer = filters.normalised_correlation(faint, faint[4:9, 3:8])
    assert answer[4, 3] == pytest.approx(1, abs=1e-3) and answer.argmax() == 4 * answer.shape[1] + 3
