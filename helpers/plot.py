"""Figures, and tables. Every function returns what it makes; a notebook shows it once, as a last expression.

Pictures are drawn between fixed limits: `limits="full"` for values from 0 to 1 (or bytes), `"own"` for each picture's
smallest and largest value, `"signed"` for a diverging map centred on 0 (blue below, red above), the same for all,
`"each"` for such a map up to each picture's own largest magnitude, or a number for such a map up to that magnitude.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.patches import Rectangle

STYLE = Path(__file__).with_name("inside.mplstyle")
plt.style.use(STYLE)


def subplots(*args, **options):
    """`plt.subplots`, its figure closed: a notebook shows it as a last expression, and not again at the cell's end."""
    figure, axes = plt.subplots(*args, **options)
    plt.close(figure)
    return figure, axes


def images(pictures, titles=None, columns=None, limits="full", source=None, size=1.8):
    """A grid of pictures: (H, W), (3, H, W) or (H, W, 3) each, arrays or tensors.

    titles: one string a picture; columns: pictures a row, all in one if None (at most 6); size: inches a picture;
    source: where they come from, written below. Raises ValueError for a wrong number of titles or shape.
    """
    pictures = [_displayable(p) for p in pictures]
    titles = [""] * len(pictures) if titles is None else [str(t) for t in titles]
    if len(titles) != len(pictures) or not pictures:
        raise ValueError(f"{len(pictures)} pictures but {len(titles)} titles")
    columns = columns or min(len(pictures), 6)
    rows = -(-len(pictures) // columns)
    ratio = pictures[0].shape[0] / pictures[0].shape[1]
    height = size * ratio + (0.3 if any(titles) else 0.05)
    figure, axes = subplots(rows, columns, squeeze=False, figsize=(size * columns, height * rows))
    for ax, picture, title in zip(axes.flat, pictures, titles):
        ax.imshow(_scaled(picture, limits), **_limits([picture] if limits == "each" else pictures, limits))
        ax.set_title(title)
    for ax in axes.flat:
        ax.axis("off")
    return with_source(figure, source)


def overlay(pictures, maps, titles=None, columns=None, limits="signed", smooth=True, source=None, size=2.2):
    """Maps (h, w) over their pictures, which turn grey: blue below 0, red above, clear at 0.

    limits: "signed", "each" or a number, as in `images`; a bar shows the scale unless each map has its own. smooth:
    resampled bilinearly to the picture, or each number drawn as the square that it stands for.
    Raises ValueError for other numbers of maps or titles than pictures.
    """
    pictures, maps = [_displayable(p) for p in pictures], [_displayable(m) for m in maps]
    titles = [""] * len(maps) if titles is None else [str(t) for t in titles]
    if not len(pictures) == len(maps) == len(titles) or not maps:
        raise ValueError(f"{len(pictures)} pictures, {len(maps)} maps and {len(titles)} titles should be as many")
    columns = columns or min(len(maps), 4)
    rows = -(-len(maps) // columns)
    height = size * pictures[0].shape[0] / pictures[0].shape[1] + 0.3
    figure, axes = subplots(rows, columns, squeeze=False, figsize=(size * columns, height * rows))
    for ax in axes.flat:
        ax.axis("off")
    for ax, picture, values, title in zip(axes.flat, pictures, maps, titles):
        shades = _lay_over(ax, picture, values, _limits([values] if limits == "each" else maps, limits), smooth)
        ax.set_title(title)
    if limits != "each":
        figure.colorbar(shades, ax=axes, shrink=0.8)
    return with_source(figure, source)


def grids(arrays, titles=None, limits="own", marks=(), fmt=None, size=0.45, columns=None):
    """Small matrices side by side, each cell with its number, as one works them on paper.

    arrays: (h, w) each; marks: (which array, row, column, height, width) of windows to outline.
    fmt: such as ".2f"; None writes whole numbers without a point.
    """
    arrays = [np.asarray(a) for a in arrays]
    titles = titles or [""] * len(arrays)
    columns = columns or len(arrays)
    widths = [max(a.shape[1] for a in arrays[c::columns]) for c in range(columns)]
    heights = [max(a.shape[0] for a in arrays[r : r + columns]) for r in range(0, len(arrays), columns)]
    figure, axes = subplots(
        len(heights), columns, squeeze=False, width_ratios=widths, height_ratios=heights,
        figsize=(size * (sum(widths) + columns), size * (sum(heights) + 1.2 * len(heights))),
    )  # fmt: skip
    for ax in axes.flat:
        ax.axis("off")
    for ax, array, title in zip(axes.flat, arrays, titles):
        _grid(ax, array, fmt, _limits([array], limits))
        ax.set_title(title)
    for which, row, column, height, width in marks:
        outline(axes.flat[which], row, column, height, width)
    return figure


def outline(ax, row, column, height, width, colour="#D55E00", **options):
    """Outline a window of a picture, in pixels; returns the patch."""
    options = {"fill": False, "linewidth": 2.5} | options
    return ax.add_patch(Rectangle((column - 0.5, row - 0.5), width, height, edgecolor=colour, **options))


def curves(histories, what="accuracy", title=None, source=None):
    """Training (dashed) and test (solid) curves per epoch of one History, or of several in a dict by name."""
    histories = histories if isinstance(histories, dict) else {"": histories}
    figure, ax = subplots(figsize=(6, 3.6))
    for i, (name, history) in enumerate(histories.items()):
        for part, style in (("train", "--"), ("test", "-")):
            values = getattr(history, f"{part}_{what}")
            label = f"{name}, {part}" if name else part
            ax.plot(range(1, len(values) + 1), values, style, color=f"C{i}", marker=".", label=label)
    ax.set(xlabel="epoch", ylabel=what if what == "accuracy" else f"{what} (nats)", title=title or "")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend()
    return with_source(figure, source)


def confusion(matrix, classes, source=None):
    """A confusion matrix of counts (K, K), rows the true classes, coloured by the share of each row."""
    matrix = np.asarray(matrix)
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = 1.6 + 0.5 * len(classes)
    figure, ax = subplots(figsize=(side, side))
    _numbers(ax, matrix, "d", ax.imshow(share, cmap="Blues", vmin=0, vmax=1))
    ax.set(xticks=range(len(classes)), yticks=range(len(classes)), xlabel="predicted", ylabel="true")
    ax.set_xticklabels(classes, rotation=45, ha="right")
    ax.set_yticklabels(classes)
    return with_source(figure, source)


def table(header, rows):
    """A table as an IPython HTML, which scrolls where it is too wide: texts at the left, numbers at the right."""
    from IPython.display import HTML  # a notebook has it; scripts that only draw need not

    rows = [[str(entry) for entry in row] for row in rows]
    if any(len(row) != len(header) for row in rows):
        raise ValueError(f"a row must have {len(header)} entries, as the header has")
    sides = ["left" if name[:1].isalpha() else "right" for name in (rows[0] if rows else header)]
    cell = "<{0} style='text-align: {1}'>{2}</{0}>".format
    lines = [("th", header), *(("td", row) for row in rows)]
    body = "".join("<tr>" + "".join(cell(kind, *c) for c in zip(sides, line)) + "</tr>" for kind, line in lines)
    return HTML(f"<div style='overflow-x: auto' tabindex='0'><table class='dataframe'>{body}</table></div>")


def with_source(figure, source):
    """Write below the figure where its pictures come from."""
    if source:
        figure.supxlabel(f"Pictures: {source}", fontsize=8, color="#555555")
    return figure


def _lay_over(ax, picture, values, options, smooth):
    height, width = picture.shape[:2]
    grey = picture if picture.ndim == 2 else picture @ np.array([0.299, 0.587, 0.114])
    ax.imshow(0.3 + 0.7 * grey / (255 if picture.dtype == np.uint8 else 1), cmap="gray", vmin=0, vmax=1)
    strength = np.abs(values / options["vmax"]).clip(0, 1)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    interpolation = "bilinear" if smooth else "nearest"
    return ax.imshow(values, alpha=0.85 * strength**0.5, extent=extent, interpolation=interpolation, **options)


def _displayable(picture):
    picture = picture.detach().cpu().numpy() if torch.is_tensor(picture) else np.asarray(picture)
    if picture.ndim == 3 and picture.shape[0] in (1, 3) and picture.shape[-1] not in (1, 3):
        picture = picture.transpose(1, 2, 0)
    if picture.ndim == 3 and picture.shape[-1] == 1:
        picture = picture[..., 0]
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[-1] != 3):
        raise ValueError(f"a picture must be (H, W), (3, H, W) or (H, W, 3), got shape {picture.shape}")
    return picture


def _scaled(picture, limits):
    """Bytes as floats from 0 to 1; colours between their own limits if asked, which imshow does for grey only."""
    if picture.dtype == np.uint8 and limits == "full":
        return picture / 255
    if picture.ndim == 2 or limits == "full":
        return picture
    if limits != "own":
        raise ValueError("a signed map has one number a pixel: show the channels of a colour picture one by one")
    return (picture - picture.min()) / ((picture.max() - picture.min()) or 1)


def _limits(pictures, limits):
    if limits == "own":
        return {"cmap": "gray"}
    if limits == "full":
        return {"cmap": "gray", "vmin": 0, "vmax": 1}
    if limits in ("signed", "each"):
        limits = max(float(np.abs(p).max()) for p in pictures) or 1.0
    if isinstance(limits, str):
        raise ValueError(f"limits must be 'full', 'own', 'signed', 'each' or a number, got {limits!r}")
    return {"cmap": "RdBu_r", "vmin": -limits, "vmax": limits}


def _grid(ax, array, fmt, options):
    if options["cmap"] == "gray":
        options = {"cmap": "Blues", "vmin": array.min(), "vmax": array.max() + (array.max() == array.min())}
    shades = ax.imshow(array, alpha=0.6, **options)
    ax.axis("on")
    ax.spines[:].set_visible(True)
    ax.set_xticks(np.arange(array.shape[1] + 1) - 0.5)
    ax.set_yticks(np.arange(array.shape[0] + 1) - 0.5)
    ax.grid(color="#777777", linewidth=0.6)
    ax.tick_params(length=0, labelbottom=False, labelleft=False)
    _numbers(ax, array, fmt or ("d" if np.all(array == np.round(array)) else ".2f"), shades)


def _numbers(ax, array, fmt, shades):
    """Write each number on its cell, in black or white, whichever is clearer."""
    colours = shades.to_rgba(shades.get_array())[..., :3]
    opacity = shades.get_alpha() or 1
    dark = (opacity * colours + 1 - opacity) @ (0.299, 0.587, 0.114) < 0.5
    for (row, column), value in np.ndenumerate(array):
        text = format(int(value) if fmt == "d" else value, fmt)
        colour = "white" if dark[row, column] else "black"
        ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=10)
