"""Visual Genome with boxes of 3,000 categories: `dataset.VisualGenome` reads it."""
