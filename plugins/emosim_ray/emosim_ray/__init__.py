"""emosim-ray: an executor that does the work of a command on a Ray cluster."""
