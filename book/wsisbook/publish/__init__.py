"""From runs to pages: notebooks, generated pages, provenance."""
