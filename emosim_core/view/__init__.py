"""The local web application of ``emosim view``: what lies below a directory, live, read and compared in a browser."""
