"""File formats, and how arrays find their way into variables."""
