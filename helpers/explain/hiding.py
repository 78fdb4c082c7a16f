"""Maps from what happens to a score when a part of the picture is hidden."""

import torch

from helpers.arguments import whole
from helpers.conv import pair
from helpers.explain.batches import at_once, baseline_like, check_pictures, in_parts
from helpers.explain.targets import one_a_picture, score, scores
from helpers.watch import watching


def occlusion(model, x, target, window=16, stride=8, baseline=0.0, batch_size=None):
    """How much the score falls when a window that covers the pixel is hidden, (N, H, W), in units of the score.

    x: float batch (N, C, H, W). A window of `window` pixels (an int or (h, w)) moves by `stride`; under it all channels
    become `baseline` (a number, or what broadcasts to x; 0 is the mean colour of normalised pictures). Each pixel gets
    the mean fall over the windows that cover it: positive where hiding lowers the score. The model gets `batch_size`
    pictures at once, or N where that is more; None: about 400,000 pixels. Raises ValueError for a window larger than
    the picture, a stride below 1 or larger than the window, which would leave gaps, and a batch size below 1.
    Source: Zeiler and Fergus (2014); Chapter 14, "Hide a part and see".
    """
    check_pictures(x)
    batch_size = at_once(x) if batch_size is None else whole("batch_size", batch_size, 1)
    x, windows = x.detach(), _windows(x, window, stride)
    hidden = baseline_like(x, baseline)
    falls, covered = torch.zeros_like(x[:, 0]), torch.zeros_like(x[0, 0])
    with watching(model), torch.no_grad():
        output = model(x.clone())
        full = one_a_picture(score(output, target), len(x))
        several = batch_size // len(x) if torch.is_tensor(output) else 1
        for part in in_parts(windows, several):
            fall = full - _hide(model, x, hidden, part, target)  # (windows, N)
            masks = _masks(part, x)
            falls += torch.einsum("kn,khw->nhw", fall, masks.to(fall))
            covered += masks.sum(0)
    return falls / covered


def _hide(model, x, hidden, windows, target):
    """The scores (windows, N) of the pictures with each of the windows hidden."""
    masks = _masks(windows, x)[:, None, None]
    pictures = torch.where(masks, hidden, x).flatten(0, 1)
    return scores(model(pictures), target, len(x)).view(len(windows), len(x))


def _windows(x, window, stride):
    """(windows, 4): first row, first column, last row + 1, last column + 1, cut off at the right and lower border."""
    (height, width), (step_down, step_right) = pair(window, "window"), pair(stride, "stride")
    if not (1 <= height <= x.shape[2] and 1 <= width <= x.shape[3]):
        raise ValueError(f"a window of {height} x {width} does not fit a picture of {x.shape[2]} x {x.shape[3]}")
    if not (1 <= step_down <= height and 1 <= step_right <= width):
        raise ValueError(f"stride must lie between 1 and the window, {height} x {width}, got {stride}")
    rows = torch.arange(0, x.shape[2] - height + step_down, step_down)
    columns = torch.arange(0, x.shape[3] - width + step_right, step_right)
    first = torch.cartesian_prod(rows, columns)
    return torch.cat([first, first + torch.tensor([height, width])], 1).to(x.device)


def _masks(windows, x):
    """bool (windows, H, W), true in each window."""
    rows, columns = (torch.arange(n, device=x.device) for n in x.shape[2:])
    top, left, bottom, right = windows.T[:, :, None]
    down, across = (top <= rows) & (rows < bottom), (left <= columns) & (columns < right)
    return down[:, :, None] & across[:, None, :]
