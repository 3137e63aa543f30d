"""Studies: how simulated users compare with rules and with real users."""
