"""A figure of dots: a line for each row of an experiment, a dot for each of its runs."""

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

TEXT, LINE, LEFT, WIDTH, MARGIN = 15, 26, 470, 430, 20


def draw(points: dict[str, list[float]], title: str, path: Path) -> None:
    """Draws ratios by the titles of their rows, around 1, and writes the image, if any."""
    points = {name: found for name, found in points.items() if found}
    if not points:
        return
    low = min(0.95, *(min(found) for found in points.values()))
    high = max(1.05, *(max(found) for found in points.values()))
    height = LINE * (len(points) + 2)
    sheet = Image.new('RGB', (LEFT + WIDTH + MARGIN, height), 'white')
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)

    def across(ratio: float) -> float:
        return LEFT + MARGIN + (ratio - low) / (high - low) * (WIDTH - MARGIN)

    parts, labelled, digits = (10, 2, 1) if high - low > 0.5 else (20, 1, 2)  # lines in a unit
    for line in range(math.ceil(parts * low), math.floor(parts * high) + 1):
        x, colour = across(line / parts), 'black' if line == parts else 'lightgrey'
        pen.line([(x, LINE), (x, height - LINE)], colour)
        if line % labelled == 0:
            label = f'{line / parts:.{digits}f}'
            pen.text((x, height - LINE / 2), label, 'black', font, 'mm')
    for number, (name, found) in enumerate(points.items()):
        y = LINE * (number + 1.5)
        pen.text((LEFT, y), name, 'black', font, 'rm')
        for ratio in found:
            x = across(ratio)
            pen.ellipse((x - 4, y - 4, x + 4, y + 4), outline='black', fill='steelblue')
    pen.text((MARGIN, LINE / 2), title, 'black', font, 'lm')
    sheet.quantize(32).save(path, optimize=True)
