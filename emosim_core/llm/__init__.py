"""Language models: what is asked, what is answered, and how a backend plugs in."""
