"""The package of the course *Inside Convolutional Networks*: its algorithms, data and figures."""

__version__ = "0.1.0"
