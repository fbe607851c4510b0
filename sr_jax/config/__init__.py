"""Configs: sections bound to dataclasses, their defaults, saved forms."""
