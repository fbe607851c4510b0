"""The switched convolution in plain XLA."""
