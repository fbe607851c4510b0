"""Lists the packages; all the rest is in setup.cfg.

`packages = find:` there cannot see that the folder kernels/ is sr_jax.kernels. (As a top-level
module it would overwrite the Hugging Face package of that name.)
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=['sr_jax', 'sr_jax.*']),
        'sr_jax.kernels',
        *(f'sr_jax.kernels.{name}' for name in find_packages('kernels')),
    ]
)
