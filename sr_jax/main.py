"""The door to training that needs no installation: `python -m sr_jax.main --config PATH`.

It is the verb `train`: see `sr_jax.commands.train`.
"""

import sys

from sr_jax.commands.train import main

if __name__ == '__main__':
    sys.exit(main())
