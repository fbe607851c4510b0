"""Switched convolution: at every output pixel a selector names the kernel that computes it."""

from .api import IMPLEMENTATIONS, route, switched_conv
from .routing import Routing

__all__ = ['IMPLEMENTATIONS', 'Routing', 'route', 'switched_conv']
