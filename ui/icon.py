"""The icon of the browser's tab, drawn here: no other host is asked for one."""

from functools import cache

from PIL import Image, ImageDraw

SIZE = 64
COLOUR = (213, 94, 0)
"""The colour of forecasts in all figures."""


@cache
def icon() -> Image.Image:
    """A line that rises, on nothing."""
    image = Image.new("RGBA", (SIZE, SIZE), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.line([(6, 50), (22, 34), (34, 42), (58, 12)], fill=COLOUR, width=8, joint="curve")
    return image
