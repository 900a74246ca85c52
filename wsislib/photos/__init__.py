"""One's own photographs: train, evaluate and predict."""
