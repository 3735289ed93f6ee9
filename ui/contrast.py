"""Colours by which every text can be read: a contrast of 4.5 against what is behind it, light and dark.

Streamlit's own fall short of it in captions (3.9), in slider values of the dark theme (3.9), in chosen
entries (3.3) and in code (2.7). Measured by axe on every page (`tests/benchmarks/dashboard`).
"""

SETTINGS = {"theme.light.textColor": "#0b0c10", "theme.dark.primaryColor": "#ff6b78"}
"""Options of the server; captions are 60% of the text's colour on the background's."""

TOKENS = {
    "keyword": "#1c5fd1",
    "string": "#158a4c",
    "number": "#b35900",
    "comment": "#808080",
    "parameter": "#0d7f9e",
    "function": "#7b4fd0",
    "operator": "#808080",
    "boolean": "#b35900",
    "builtin": "#7b4fd0",
    "class-name": "#7b4fd0",
}
"""Hues of code, each mixed with the colour of texts: dark in the light theme, pale in the dark one."""

STYLE = "\n".join(
    (
        "<style>",
        "code .token { color: inherit !important; }",
        *(
            f"code .token.{name} {{ color: color-mix(in srgb, currentcolor 55%, {hue}) !important; }}"
            for name, hue in TOKENS.items()
        ),
        "[data-tag] { color: inherit !important; }",
        "[data-tag] { background: color-mix(in srgb, currentcolor 15%, transparent) !important; }",
        "[data-tag] * { color: inherit !important; }",
        "[data-testid=stBaseButton-primary] * { color: Canvas !important; }",
        "</style>",
    )
)
"""The same for what no option of the server reaches."""
