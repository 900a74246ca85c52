"""Views and figures of part two's chapters."""
