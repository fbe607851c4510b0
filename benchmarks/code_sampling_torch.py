"""The PyTorch side of `code_sampling.py`: the published loop that draws a map of codes.

Run by that script in an interpreter that has torch, with a checkout of the published code. It saves
the network's weights, and for each line on the standard input draws and answers with the seconds.
"""

import json
import sys
import time
import warnings

import torch

warnings.filterwarnings('ignore')


@torch.no_grad()
def draw(network: torch.nn.Module, side: int, batch: int, columns: int) -> float:
    """Seconds of the loop over all rows, and so many columns of each.

    As published: for each code a pass over all rows up to its own, whatever the column.
    """
    codes = torch.zeros(batch, side, side, dtype=torch.int64)
    began = time.perf_counter()
    for i in range(side):
        for j in range(columns):
            logits, _ = network(codes[:, : i + 1])
            shares = torch.softmax(logits[:, :, i, j], 1)
            codes[:, i, j] = torch.multinomial(shares, 1).squeeze(-1)
    return time.perf_counter() - began


def main() -> None:
    """Makes the network, saves its weights, and draws when told to."""
    asked = json.loads(sys.argv[1])
    sys.path.insert(0, asked['published'])
    from pixelsnail import PixelSNAIL  # of the checkout

    torch.manual_seed(0)
    torch.set_num_threads(asked['threads'])
    network = PixelSNAIL([asked['side']] * 2, **asked['network']).eval()
    network(torch.zeros(1, asked['side'], asked['side'], dtype=torch.int64))
    torch.save(network.state_dict(), asked['weights'])
    print('ready', flush=True)
    for _ in sys.stdin:
        print(draw(network, asked['side'], asked['batch'], asked['columns']), flush=True)


if __name__ == '__main__':
    main()
