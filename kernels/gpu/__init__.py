"""What the kernels of any operation need of GPUs."""
