"""What a row of a table does: settings in two files, and one module for each kind of run."""
