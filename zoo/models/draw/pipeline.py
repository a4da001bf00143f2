"""Seeds in, pictures out; or pictures of digits in, labels out; and where the network painted or looked."""

from zoo.pipelines import Pipeline


class Pictures(Pipeline):
    """x"""


class Paint(Pictures):
    """x"""


class Look(Pictures):
    """x"""
