# Many runs as one graph, for Snakemake. The plan (a JSON file named in the configuration) says
# for each job its command and the jobs it needs. A rule's output is a stamp, never a result:
# Snakemake deletes the outputs of a job before it runs it. The truth is in the store; the
# command takes the run's lock and leaves at once where the run is done.
import json

with open(config["plan"], encoding="utf-8") as stream:
    JOBS = json.load(stream)


localrules:
    every,


rule every:
    input:
        expand("stamps/{job}.ok", job=list(JOBS)),


rule run:
    input:
        lambda wildcards: [f"stamps/{need}.ok" for need in JOBS[wildcards.job]["needs"]],
    output:
        touch("stamps/{job}.ok"),
    log:
        "logs/{job}.log",
    params:
        command=lambda wildcards: JOBS[wildcards.job]["command"],
    wildcard_constraints:
        job="[^/]+",
    shell:
        "{params.command} > {log} 2>&1"
