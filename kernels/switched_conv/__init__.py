"""Switched convolution: at every output pixel a selector names the kernel that computes it."""

from .api import IMPLEMENTATIONS, switched_conv
from .routing import Routing, route

__all__ = ['IMPLEMENTATIONS', 'Routing', 'route', 'switched_conv']
