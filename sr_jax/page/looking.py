"""A look inside a run: which kernels its switched convolutions choose, or how its flow draws."""

from typing import Any

from sr_jax.images.contact_sheet import sheet
from sr_jax.images.files import load_image, save_image
from sr_jax.page.enlarging import describe_file
from sr_jax.page.jobs import Job
from sr_jax.page.page import Page
from sr_jax.page.store import Kept

INSIDE = 'inside'
MOST_PIXELS = 256  # along a side, of an image given to a flow


def look_inside(page: Page, owner: str, keys: list[str], network: str) -> None:
    """Has a sheet drawn of what a run makes of an image.

    Raises:
      InputError: a file or a run that is not there, or too many jobs.
    """
    source = page.networks.find(network)
    image = page.find_files(keys)[0]
    target = page.store.place(f'{image.path.stem}_{network}.png')

    def work(job: Job) -> dict[str, Any]:
        job.show(0, 0, 'loading the network')
        lines = draw(source, image, target)
        return {'file': describe_file(target), 'picture': target.id, 'notes': lines}

    page.submit(owner, [Job(owner, INSIDE, image.path.name, work, [image.id], [target.id])])


def draw(source: str, image: Kept, target: Kept) -> list[str]:
    """Draws the sheet of a network, a flow's or one with selectors; returns what it shows in words.

    Raises:
      InputError: a network that is neither, or an image that cannot be taken.
    """
    from sr_jax.inference import networks  # it imports JAX
    from sr_jax.models.protocols import Sampler

    pixels = load_image(image.path)
    network = networks.load(source, report=lambda line: None)
    if isinstance(network.module(), Sampler):
        return _draw_flow(network, pixels, target)
    return _draw_selectors(source, pixels, target)


def _draw_flow(network: Any, pixels: Any, target: Kept) -> list[str]:
    from sr_jax.inference import flow_report

    flow = flow_report.Flow(network)
    hq = flow_report.crop_middle(pixels, MOST_PIXELS, flow.multiple)
    tiles, numbers = flow_report.report(flow, hq, flow_report.TEMPERATURES, 0)
    save_image(target.path, sheet(tiles, flow_report.COLUMNS))
    levels = numbers['latents']
    return [
        f'{numbers["bits_per_dimension"]:.3f} bits per dimension',
        *(
            f'{name}: mean {found["mean"]:+.3f}, deviation {found["deviation"]:.3f}'
            for name, found in levels.items()
        ),
    ]


def _draw_selectors(source: str, pixels: Any, target: Kept) -> list[str]:
    from sr_jax.images.selector_map import draw as draw_map
    from sr_jax.inference.selector_maps import Selectors, count_uses

    selectors = Selectors(source)
    choices = selectors.choose(pixels)
    save_image(target.path, draw_map(pixels, choices, selectors.breadth))
    return [
        f'{use.layer}: {" ".join(f"{share:.0%}" for share in use.shares)}, '
        f'perplexity {use.perplexity:.2f}'
        for use in count_uses(choices, selectors.breadth)
    ]
