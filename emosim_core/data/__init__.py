"""Where items and people come from: tables, embeddings and the generator of populations."""
