"""Pictures and curves: what a label says, what a model finds, how numbers move."""
