"""Language models behind HTTP for EmoSim: DeepSeek's service, and every server that speaks chat completions."""
