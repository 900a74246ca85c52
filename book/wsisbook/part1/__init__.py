"""Views and figures of part one's chapters."""
