"""Prompts: the texts that make a language model rate for a user, and the parsing of its answers."""
