"""A network drawn from the model itself, as an SVG: boxes from the top down, with shapes and costs.

Source: Chapter 10, "AlexNet, layer by layer".
"""

from dataclasses import dataclass, field
from html import escape, unescape

import torch
from torch import fx, nn

from helpers.costs import KINDS, blank, layer_costs, on_meta
from helpers.receptive.field import input_shape, tensors

WIDTH, ROW, GAP, TOP, SHOWN = 360, 46, 14, 58, 720  # units; SHOWN: pixels of the width when the file is opened
COLOURS = {"conv": "#CFE3F5", "pool": "#D5EBD0", "dense": "#FBE0C3", "block": "#E3D9F2", "meet": "#E8E8E8"}
BARS = {"parameters": "#B85C00", "multiply_adds": "#0B62A4"}
# What is written into the box above, for it changes neither the shape of the maps nor costs much.
QUIET = {"ReLU": "ReLU", "relu": "ReLU", "relu_": "ReLU", "ReLU6": "ReLU6", "GELU": "GELU", "SiLU": "SiLU"}
QUIET |= {"BatchNorm2d": "norm", "LayerNorm": "norm", "LayerNorm2d": "norm", "LocalResponseNorm": "local norm"}
QUIET |= {"Squash": "tanh", "Dropout": "dropout", "dropout": "dropout"}
SILENT = {"Flatten", "flatten", "Permute", "permute", "Identity", "StochasticDepth", "stochastic_depth", "contiguous"}
MEET = {"cat": "concatenate", "add": "add", "add_": "add", "iadd": "add", "mul": "multiply"}


@dataclass
class Box:
    """One box: what is written in it, the shape that leaves it, its costs, and the boxes that lead to it."""

    label: str
    kind: str
    shape: tuple
    parameters: int = 0
    multiply_adds: int = 0
    above: list = field(default_factory=list)
    after: list = field(default_factory=list)  # quiet layers that follow in the same box
    times: int = 1

    def same(self, other):
        return (self.label, self.shape, self.after, self.parameters) == (
            other.label, other.shape, other.after, other.parameters)  # fmt: skip


def drawing(model, input_size, title, blocks=True):
    """An IPython SVG of the model: one column of boxes, or branches side by side where it has some.

    input_size is as in `receptive_fields`. blocks: modules with parts of their own, but for nn.Sequential, are one box
    each, and equal ones in a row are drawn once; False opens them. Normalisation and activation are written into the
    box that they follow. Shapes are channels x height x width. title: text for the heading; where a page holds the
    drawing itself, screen readers say the title and the list of boxes; where it shows it as an image, they say that
    image's alternative text. Raises ValueError for a title that is no text, if torch.fx can't trace the model or the
    model can't take the input, and NotImplementedError as `layer_costs`. Source: Chapter 10, "AlexNet, layer by layer".
    """
    from IPython.display import SVG  # a notebook has it

    if not isinstance(title, str) or not title.strip():
        raise ValueError(f"title must be text that names the drawing, got {title!r}")
    boxes = _boxes(model, input_shape(model, input_size), blocks)
    boxes = _repeated(boxes) if blocks else boxes
    levels = _levels(boxes)
    columns = max(map(len, levels))
    draw = _one_column if columns == 1 else _side_by_side
    return SVG(_document(title, boxes, *draw(boxes, levels, columns)))


def below(*drawings):
    """Several drawings in one, each under the one before; its title and description are theirs, one after the other.

    Raises ValueError for none, and for what `drawing` does not return.
    """
    _check_drawings(drawings)
    heights = [float(d.data.partition('viewBox="0 0 360 ')[2].partition('"')[0]) for d in drawings]
    parts = [f'<svg y="{sum(heights[:i]):g}" {d.data.partition("<svg ")[2]}' for i, d in enumerate(drawings)]
    parts = [part.replace(f'width="{SHOWN}"', f'width="{WIDTH}"', 1) for part in parts]
    parts = [part.replace(f'height="{h * SHOWN / WIDTH:g}"', f'height="{h:g}"', 1) for part, h in zip(parts, heights)]
    said = [[unescape(_inside(d.data, tag)) for d in drawings] for tag in ("title", "desc")]
    head = _head("; ".join(said[0]), " ".join(said[1]))
    return type(drawings[0])(_open(sum(heights)) + head + "".join(parts) + "</svg>")


def _check_drawings(drawings):
    if not drawings:
        raise ValueError("give at least one drawing")
    for d in drawings:
        data = getattr(d, "data", None)
        if not isinstance(data, str) or 'viewBox="0 0 360 ' not in data or not _inside(data, "title"):
            raise ValueError(f"give drawings as `drawing` returns them, each an argument, got {type(d).__name__}")


def _inside(data, tag):
    """What stands in the first element of that name."""
    return data.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]


class _Tracer(fx.Tracer):
    def __init__(self, blocks):
        super().__init__()
        self.blocks = blocks

    def is_leaf_module(self, module, name):
        parts = any(True for _ in module.children())
        return not parts or (self.blocks and not isinstance(module, nn.Sequential))


class _Shapes(fx.Interpreter):
    """Runs the traced model on the meta device and writes down the shape of each result, without the batch."""

    def run_node(self, node):
        found = super().run_node(node)
        node.meta["shapes"] = [tuple(t.shape[1:]) for t in tensors(found)]
        return found


def _boxes(model, shape, blocks):
    """The boxes in the order of the calls; the first is the picture."""
    model = nn.Sequential(model) if isinstance(model, tuple(KINDS)) else model  # a layer by itself is drawn, too
    rows, model = layer_costs(model, shape), on_meta(model).eval()
    try:
        graph = fx.GraphModule(model, _Tracer(blocks).trace(model))
    except Exception as error:
        raise ValueError(f"torch.fx cannot trace {type(model).__name__}: {error}") from error
    with torch.no_grad():
        _Shapes(graph).run(blank(model, shape))
    rows = _by_call(graph, rows)
    boxes, place = [], {}  # place: the box that a node's result leaves
    for node in graph.graph.nodes:
        above = list(dict.fromkeys(place[n] for n in node.all_input_nodes if n in place))
        if node.op == "placeholder" and not boxes:
            place[node] = 0
            boxes.append(Box("picture" if shape[1] in (1, 3) else "input", "picture", shape[1:]))
        elif node.op != "output" and above and node.meta["shapes"]:
            place[node] = _follow(node, graph, rows.get(node, []), above, boxes)
    return boxes


def _by_call(graph, rows):
    """The rows of each call of a module: one that is called twice has its rows twice, in the order of the calls."""
    calls, found = {}, {}
    for node in graph.graph.nodes:
        if node.op == "call_module":
            calls.setdefault(node.target, []).append(node)
    for target, nodes in calls.items():
        own = [row for row in rows if row.name == target or row.name.startswith(f"{target}.")]
        each = len(own) // len(nodes)
        found |= {node: own[i * each : (i + 1) * each] for i, node in enumerate(nodes)}
    return found


def _follow(node, graph, own, above, boxes):
    """The index of the box that a call belongs to: a new one, or the one above for what is quiet."""
    module = graph.get_submodule(node.target) if node.op == "call_module" else None
    name = type(module).__name__ if module else getattr(node.target, "__name__", node.target)
    alone = len(above) == 1 and not any(above[0] in box.above for box in boxes)
    same = above and node.meta["shapes"][0] == boxes[above[0]].shape and name == "AdaptiveAvgPool2d"
    if len(above) == 1 and (same or name in SILENT or (name in QUIET and above[0] and alone)):
        boxes[above[0]].after += [QUIET[name]] if name in QUIET else []
        return above[0]
    after = node.meta["shapes"][0]
    box = Box(*_label(module, name, own, boxes[above[0]].shape, after), after, above=above)
    box.parameters, box.multiply_adds = (sum(getattr(row, what) for row in own) for what in BARS)
    boxes.append(box)
    return len(boxes) - 1


def _label(module, name, rows, before, after):
    """(text, kind) of a box, from the shapes that enter and leave it, too."""
    if isinstance(module, nn.Conv2d):
        return _convolution(module), "conv"
    if isinstance(module, nn.Linear):
        return f"dense, {module.out_features}", "dense"
    if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
        word, stride = "max" if isinstance(module, nn.MaxPool2d) else "mean", _one(module.stride)
        return f"{_times(module.kernel_size)} {word} pool" + f", stride {stride}" * (stride != 1), "pool"
    pooled = isinstance(module, nn.AdaptiveAvgPool2d) or name == "adaptive_avg_pool2d"
    if (pooled or name == "mean") and after in (before[:1], (*before[:1], 1, 1)):
        return "mean of each map", "pool"
    if pooled:
        return f"mean pool to {_times(after[-2:])}", "pool"
    if module and rows and len(rows) > 1:
        n = sum(bool(row.multiply_adds) for row in rows)
        return f"{name.strip('_')}, {n} layers", "block"
    return MEET.get(name, QUIET.get(name, name)), "meet" if name in MEET else "block"


def _convolution(layer):
    text = f"{_times(layer.kernel_size)} conv, {layer.out_channels}"
    stride, dilation = _one(layer.stride), _one(layer.dilation)
    text += f", stride {stride}" * (stride != 1) + f", dilation {dilation}" * (dilation != 1)
    if layer.groups == 1:
        return text
    return text + (", by map" if layer.groups == layer.in_channels else f", {layer.groups} groups")


def _repeated(boxes):
    """Equal boxes in a row as one; only where no path leads past them."""
    readers = [sum(i in box.above for box in boxes) for i in range(len(boxes))]
    kept, place = [], {}
    for i, box in enumerate(boxes):
        box.above = [place[a] for a in box.above]
        last = kept[-1] if kept else None
        if last and box.above == [len(kept) - 1] and readers[i - 1] == 1 and box.kind != "pool" and box.same(last):
            last.times += 1
        else:
            kept.append(box)
        place[i] = len(kept) - 1
    for box in kept:
        box.parameters, box.multiply_adds = box.parameters * box.times, box.multiply_adds * box.times
    return kept


def _levels(boxes):
    """Rows of (box or None, its neighbours above in the row before); None where a path passes by a row."""
    depth = []
    for box in boxes:
        depth.append(1 + max((depth[a] for a in box.above), default=-1))
    last = {i: max((depth[j] for j, b in enumerate(boxes) if i in b.above), default=0) for i in range(len(boxes))}
    levels = [[] for _ in range(max(depth) + 1)]
    for i, d in enumerate(depth):
        levels[d].append((i, True))
        for later in range(d + 1, last[i]):
            levels[later].append((i, False))
    return [sorted(level, key=lambda slot: (not slot[1], slot[0])) for level in levels]


def _one_column(boxes, levels, columns):
    """(lines of SVG, height): labels at the left; at the right, bars of each box's share of the costs."""
    lines = [
        _text(254, 40 + 11 * k, what.replace("_", "-"), 10, colour) for k, (what, colour) in enumerate(BARS.items())
    ]
    largest = {what: max(getattr(box, what) for box in boxes) or 1 for what in BARS}
    for i, box in enumerate(boxes):
        y = TOP + i * (ROW + GAP)
        lines += [_arrow(124, y - GAP, 124, y)] if i else []
        lines += [_rect(8, y, 232, ROW, box.kind), _text(16, y + 19, box.label, 13, weight="bold")]
        lines += [_text(232, y + 37, f"{box.times} times", 12, weight="bold", anchor="end")] if box.times > 1 else []
        lines.append(_text(16, y + 37, ", ".join([_shape(box.shape), *box.after]), 11))
        for k, (what, colour) in enumerate(BARS.items()):
            number = getattr(box, what)
            if number:
                top, length = y + 1 + 23 * k, max(98 * number / largest[what], 1)
                lines.append(_text(254, top + 11, short(number), 11, colour))
                lines.append(f'<rect x="254" y="{top + 14}" width="{length:.1f}" height="6" fill="{colour}"/>')
    return lines, TOP + len(boxes) * (ROW + GAP)


def _side_by_side(boxes, levels, columns):
    """(lines of SVG, height): each row of boxes in the middle; a path that passes by a row is a line."""
    width, height, gap = (WIDTH - 8) / columns, 66, 26
    place = {}
    for row, level in enumerate(levels):
        level.sort(key=lambda slot: _mean_place(slot, row, boxes, place))
        for k, slot in enumerate(level):
            place[(*slot[:1], row)] = WIDTH / 2 + (k - (len(level) - 1) / 2) * width, 38 + row * (height + gap), slot[1]
    lines = []
    for (i, row), (x, y, drawn) in place.items():
        sources = boxes[i].above if drawn else [i]
        for a in sources:
            x0, y0, _ = place[a, row - 1] if row else (x, y, None)
            if row:
                lines.append(_arrow(x0, y0 + height, x, y, head=drawn))
        if drawn:
            lines += _narrow(boxes[i], x, y, min(width - 4, 150), height)
        else:
            lines.append(_arrow(x, y, x, y + height, head=False))
    return lines, 38 + len(levels) * (height + gap)


def _mean_place(slot, row, boxes, place):
    """Where the boxes above stand, the mean; so that paths cross as little as can be."""
    i, drawn = slot
    above = [place[a, row - 1][0] for a in (boxes[i].above if drawn else [i])] if row else [0]
    return sum(above) / len(above), not drawn


def _narrow(box, x, y, width, height):
    texts = [box.label, _shape(box.shape), ", ".join(box.after)]
    texts += [f"{short(box.parameters)}; {short(box.multiply_adds)}" if box.parameters else ""]
    texts = [text for text in texts if text]
    first = y + height / 2 + 4 - 7 * (len(texts) - 1)
    lines = [_rect(x - width / 2, y, width, height, box.kind)]
    for k, text in enumerate(texts):
        weight = "bold" if k == 0 else "normal"
        size = min(11 if k == 0 else 10, 1.5 * width / len(text))
        lines.append(_text(x, first + 14 * k, text, size, weight=weight, anchor="middle"))
    return lines


def short(number):
    """A whole number with three digits and k, M or G behind it, such as 37.8 M."""
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= 0.9995 * size:
            return f"{number / size:.{2 - (number >= 9.995 * size) - (number >= 99.95 * size)}f}{letter}"
    return str(number)


def _open(height):
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height:g}" width="{SHOWN}" '
        f'height="{height * SHOWN / WIDTH:g}" font-family="system-ui, sans-serif">'
    )


def _head(title, said):
    return f"<title>{escape(title)}</title><desc>{escape(said)}</desc>"


def _document(title, boxes, lines, height):
    said = "; ".join(f"{b.label}{f', {b.times} times' * (b.times > 1)}, gives {_shape(b.shape)}" for b in boxes)
    head = _head(title, f"From the top down: {said}.")
    paper = f'<rect width="{WIDTH}" height="{height:g}" rx="6" fill="#FFFFFF"/>'
    return _open(height) + head + paper + _text(8, 22, title, 15, weight="bold") + "".join(lines) + "</svg>"


def _text(x, y, text, size, colour="#1A1A1A", weight="normal", anchor="start"):
    style = f'font-size="{size}" fill="{colour}" font-weight="{weight}" text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(text)}</text>'


def _rect(x, y, width, height, kind):
    fill = COLOURS.get(kind, "#FFFFFF")
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" fill="{fill}" stroke="#555555" '
        'stroke-width="0.8"/>'
    )


def _arrow(x0, y0, x1, y1, head=True):
    line = f'<line x1="{x0:g}" y1="{y0:g}" x2="{x1:g}" y2="{y1 - 4 * head:g}" stroke="#333333" stroke-width="1.4"/>'
    points = f"{x1 - 4:g},{y1 - 7:g} {x1 + 4:g},{y1 - 7:g} {x1:g},{y1:g}"
    return line + (f'<polygon points="{points}" fill="#333333"/>' if head else "")


def _one(value):
    """One number where both of a pair are the same, else the pair."""
    return value[0] if isinstance(value, (tuple, list)) and len(set(value)) == 1 else value


def _times(value):
    h, w = value if isinstance(value, (tuple, list)) else (value, value)
    return f"{h}×{w}"


def _shape(shape):
    return " × ".join(map(str, shape))
