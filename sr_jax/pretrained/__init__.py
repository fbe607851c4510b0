"""Weights under foreign names and layouts, to ours and back; one file a network."""
