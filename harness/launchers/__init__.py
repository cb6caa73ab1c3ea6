"""Who carries out a plan, and where: this machine, a SLURM cluster, a Ray cluster."""
