"""emosim-slurm: an executor that does the work of a command as jobs of a Slurm cluster."""
