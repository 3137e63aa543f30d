"""Where items and users come from: tables, embeddings and the generator of populations."""
