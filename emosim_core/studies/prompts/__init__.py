"""Prompt bench: how well each prompt strategy makes a language model rate as real users do."""
