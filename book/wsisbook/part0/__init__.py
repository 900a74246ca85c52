"""Views and figures of part zero's chapters."""
