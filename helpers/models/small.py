"""Networks without branches, to be trained in minutes: the sheet's, and those of Chapters 6 and 9."""

from torch import nn

from helpers.conv import pair


class LeNet(nn.Sequential):
    """The network of the exercise sheet (E3.2): two convolutions, three dense layers, 62,006 parameters as set.

    Takes (N, in_channels, size, size) float, returns logits (N, n_classes). Raises ValueError for a size below 16.
    Source: LeCun et al. (1998), whose LeNet-5 it simplifies; Chapter 6, "The network of the sheet".
    """

    def __init__(self, n_classes=10, in_channels=3, size=32):
        if size < 16:
            raise ValueError(f"size must be at least 16 pixels for two convolutions and two poolings, got {size}")
        side = ((size - 4) // 2 - 4) // 2
        super().__init__()
        self.conv1, self.relu1, self.pool1 = nn.Conv2d(in_channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2)
        self.conv2, self.relu2, self.pool2 = nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc1, self.relu3 = nn.Linear(16 * side**2, 120), nn.ReLU()
        self.fc2, self.relu4 = nn.Linear(120, 84), nn.ReLU()
        self.fc3 = nn.Linear(84, n_classes)


class ConvNet(nn.Sequential):
    """3x3 convolutions of the given widths, each with ReLU, the first `pools` with 2x2 max pooling too;
    then the mean over a 4x4 grid and one dense layer.

    channels: the number of filters of each layer, such as (32, 64). Takes (N, in_channels, H, W) float with sides of
    2**pools, returns logits (N, n_classes).
    Raises ValueError for no layers or a width below 1. Source: Chapter 6, "How many layers".
    """

    def __init__(self, channels=(32, 64), n_classes=10, in_channels=3, pools=3):
        if not channels or min(channels) < 1:
            raise ValueError(f"channels must name at least one layer of at least one filter, got {channels}")
        super().__init__()
        for i, (before, after) in enumerate(zip((in_channels, *channels), channels), start=1):
            self.add_module(f"conv{i}", nn.Conv2d(before, after, 3, padding=1))
            self.add_module(f"relu{i}", nn.ReLU())
            if i <= pools:
                self.add_module(f"pool{i}", nn.MaxPool2d(2))
        self.grid, self.flatten = nn.AdaptiveAvgPool2d(4), nn.Flatten()
        self.fc = nn.Linear(16 * channels[-1], n_classes)


class HeritageNet(nn.Sequential):
    """The classifier of coursework C6: five 3x3 convolutions, four dense layers, dropout before each dense layer.

    Takes (N, in_channels, H, W) float, returns logits (N, n_classes). size: the side of the pictures or (H, W), 16 or
    more; the first dense layer reads 512 maps of (H // 16, W // 16). dropout: the share of inputs set to 0;
    batch_norm: False leaves the normalisation out. Raises ValueError for a smaller size and a dropout outside [0, 1).
    Source: Chapter 9, "The network".
    """

    def __init__(self, n_classes=10, in_channels=3, size=32, dropout=0.25, batch_norm=True):
        height, width = pair(size, "size")
        if min(height, width) < 16:
            raise ValueError(f"size must be at least 16 pixels for four poolings, got {size}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
        super().__init__()
        maps = (in_channels, 32, 64, 128, 256, 512)
        for i in range(1, 6):
            self.add_module(f"conv{i}", nn.Conv2d(maps[i - 1], maps[i], 3, padding=1))
            if batch_norm:
                self.add_module(f"norm{i}", nn.BatchNorm2d(maps[i]))
            self.add_module(f"relu{i}", nn.ReLU())
            if i < 5:
                self.add_module(f"pool{i}", nn.MaxPool2d(2))
        self.flatten = nn.Flatten()
        units = (512 * (height // 16) * (width // 16), 2048, 1024, 512, n_classes)
        for i in range(1, 5):
            self.add_module(f"drop{i}", nn.Dropout(dropout))
            self.add_module(f"fc{i}", nn.Linear(units[i - 1], units[i]))
            if i < 4:
                self.add_module(f"relu{i + 5}", nn.ReLU())
