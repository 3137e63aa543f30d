"""Reads and writes data: tables, archives, published formats, bundled items and embeddings."""
