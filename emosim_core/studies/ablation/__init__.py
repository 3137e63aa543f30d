"""Ablation: studies over raters, prompts, retrieval strategies and noise."""
