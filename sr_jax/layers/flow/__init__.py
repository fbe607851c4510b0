"""Layers of normalizing flows: maps with an exact inverse and a known log-determinant.

Each is a linen module: called, it maps images towards the latent space and returns them with the
logarithm of the absolute determinant of its Jacobian, one for each image; its method `inverse`
goes back. Latents and log-determinants are float32 whatever the type that convolutions compute in.
The squeeze of Glow and SRFlow is `sr_jax.layers.resampling.pixel_unshuffle` with a factor of 2; its
log-determinant is zero.
"""
