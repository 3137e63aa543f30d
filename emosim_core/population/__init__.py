"""All that makes users: generated, from CSV files, for studies; and the data files of a domain."""
