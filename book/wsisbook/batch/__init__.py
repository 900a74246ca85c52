"""Many runs at a time: the jobs of a plan on Snakemake, their processes and their progress."""
