"""What a row of a table does: one module for each kind of run."""
