"""Who carries out a plan, and where: this machine, several GPUs by torchrun, a Ray cluster."""
