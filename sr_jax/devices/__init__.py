"""Devices and processes: meshes, meeting, signals, memory."""
